"""The serving loop: bind, load, listen, warm up, and stop without dropping an answer."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from flask import Flask
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server

from tamperscope.api import Problem
from tamperscope.cores import leave_blas_one_thread
from tamperscope.errors import SettingsError, StoreError, TunnelError
from tamperscope.report import BundleIdentity
from tamperscope.server import app as application
from tamperscope.server import assembly, lifecycle, logs
from tamperscope.server.assembly import Assembly
from tamperscope.server.middleware import problems, request_log
from tamperscope.server.tunnel import Tunnel, open_tunnel
from tamperscope.server.views import jobs
from tamperscope.settings import Settings

# Threads beyond those that analyse or wait: they answer /health, and 503 while the queue is full.
_SPARE_THREADS = 4
_FAREWELL_SECONDS = 2.0
"""Time to send the remaining answers after the drain period has passed."""
_IDLE_SECONDS = 30
# For one request or answer. A large upload gets more time, calculated at 3.5 Mbit/s.
_TRANSFER_SECONDS = 120.0
_SLOWEST_BYTES_PER_SECOND = 437_500
# Below the 1024 files that a process may usually have open.
_MOST_CONNECTIONS = 500
_EXPIRY_SECONDS = 3600.0
# Waitress's spelling of the header.
_REQUEST_ID = request_log.HEADER.upper().replace("-", "_")
_say = partial(print, flush=True)

_log = logging.getLogger(__name__)


def run(settings: Settings, say: Callable[[str], None] = _say) -> None:
    """Serve until SIGINT or SIGTERM, then finish the running requests and return.

    SIGHUP reloads the bundle and the keys, as `RunningServer.reload` does.

    Raises `SettingsError` when the address or the keys cannot be used, `StoreError` when the database
    cannot, and `BundleError` when the bundle cannot.
    """
    logs.configure(settings.log_level, settings.log_format)
    lifecycle.run(lambda: start(settings, say), say, "Stopping after the running requests are answered.")


def start(settings: Settings, say: Callable[[str], None] = _say) -> RunningServer:
    """Start a server in the background and return once it answers.

    `say` receives its address and the tunnel's. Raises as `run` does. When the tunnel cannot be opened, `say`
    receives the reason and the server keeps running without one.
    """
    listener = _bind(settings)
    leave_blas_one_thread()
    lifecycle.share_heaps()
    try:
        parts = assembly.assemble(
            settings,
            partial(assembly.load_detector, settings),
            assembly.open_store(settings),
            # With Redis, worker processes do the jobs.
            job_threads=0 if settings.redis else settings.workers,
        )
        app = application.create_app(parts)
        loop = _Loop(app, settings, listener)
    except BaseException:
        listener.close()
        raise
    url = _url(settings.host, listener.getsockname()[1])
    retention = threading.Thread(
        target=_expire_regularly,
        args=(parts, loop),
        name="tamperscope-retention",
        daemon=True,
    )
    retention.start()
    running = RunningServer(
        url,
        tunnel=None,
        _loop=loop,
        _reload=app.extensions[application.RELOAD],
        _parts=parts,
        _retention=retention,
    )
    try:
        running.reload()
        running.begin_jobs()
        say(f"tamperscope is listening on {running.url}")
        return _with_tunnel(running, settings, say)
    except BaseException:
        running.stop()
        raise


@dataclass(frozen=True)
class RunningServer:
    """A server that answers in a background thread."""

    url: str
    """Its address on this machine."""
    tunnel: Tunnel | None
    """Its public address, if one was requested and could be opened."""
    _loop: _Loop
    _reload: Callable[[], BundleIdentity]
    _parts: Assembly
    _retention: threading.Thread

    def reload(self) -> BundleIdentity:
        """Load the bundle and the keys again, answer with them, and return the bundle's identity.

        Running requests finish with the bundle and keys they started with. Raises `BundleError` or
        `SettingsError` when the new ones cannot be used; the server then keeps the old ones.
        """
        return self._reload()

    def begin_jobs(self) -> None:
        """Process waiting and future jobs in this process, unless worker processes do."""
        self._parts.runner.start()

    def wait(self) -> None:
        """Return when the server has ended."""
        self._loop.wait()

    def stop(self) -> None:
        """Accept no more requests or job images, finish those in progress, and end.

        A request that takes too long receives 503. May be called twice.
        """
        if self.tunnel:
            self.tunnel.close()
        self._loop.stop()
        self._retention.join(self._parts.settings.drain)
        self._parts.stop()


def _expire_regularly(parts: Assembly, loop: _Loop) -> None:
    days = parts.settings.retention
    if days is None:
        return
    age = timedelta(days=days)
    while True:
        try:
            for kept, name in ((parts.store, "analyses"), (parts.jobs, "jobs")):
                if expired := kept.expire(age):
                    _log.info("deleted %d %s older than %d days", expired, name, days)
        except StoreError:
            _log.warning(
                "analyses and jobs older than %d days could not be deleted; trying again later", days
            )
        if loop.ends_within(_EXPIRY_SECONDS):
            return


def _with_tunnel(running: RunningServer, settings: Settings, say: Callable[[str], None]) -> RunningServer:
    if settings.tunnel != "ngrok":
        return running
    try:
        tunnel = open_tunnel(running.url, settings.ngrok_token)
    except TunnelError as error:
        say(f"{error} The server keeps listening on {running.url}.")
        return running
    say(f"and is public on the internet at {tunnel.public_url}")
    return replace(running, tunnel=tunnel)


def _bind(settings: Settings) -> socket.socket:
    # Before the model is loaded, so that a port in use is reported at once and not after seconds.
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((str(address[0]), settings.port), family=family)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SettingsError(
            f"The server cannot listen on {settings.host} port {settings.port}: {reason}. "
            f"Choose another with --host and --port."
        ) from None


def _url(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


class _Loop:
    """Waitress in its own thread, with a shutdown that waits for the running requests.

    Waitress itself stops through an exception inside its loop, which closes sockets before their answers are
    sent.
    """

    def __init__(self, app: Flask, settings: Settings, listener: socket.socket) -> None:
        self._sockets: dict[int, wasyncore.dispatcher] = {}
        self._server = create_server(
            app,
            map=self._sockets,
            sockets=[listener],
            threads=settings.workers + settings.queue + _SPARE_THREADS,
            max_request_body_size=_most_bytes(application.request_limit(settings)),
            connection_limit=_MOST_CONNECTIONS,
            channel_timeout=_IDLE_SECONDS,
            # Reading ahead while a request waits reveals whether its client is still connected.
            channel_request_lookahead=1,
            # Above this many bytes, a thread would wait for its client to read, which may never happen.
            outbuf_high_watermark=2**40,
            ident=None,
            **_trust(settings.trusted_proxy),
        )
        self._server.channel_class = _channel_class(_most_bytes(jobs.request_limit(settings)))
        self._drain_seconds = settings.drain
        self._transfers: dict[wasyncore.dispatcher, float] = {}
        self._stopping = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="tamperscope-server", daemon=True).start()

    def wait(self) -> None:
        # Not by joining the thread: a signal during `join` makes Python 3.11 and 3.12 believe that the
        # thread has ended. In slices, because some platforms do not interrupt an endless wait for Ctrl-C.
        while not self._ended.wait(1.0):
            pass

    def ends_within(self, seconds: float) -> bool:
        return self._ended.wait(seconds)

    def stop(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            # The loop may have noticed and ended already; then there is nothing left to wake.
            with suppress(OSError):
                self._server.pull_trigger()
        self.wait()

    def _run(self) -> None:
        try:
            checked = time.monotonic()
            while not self._stopping.is_set():
                self._step(1.0)
                if (now := time.monotonic()) >= checked + 1:
                    checked = now
                    self._close_slow(now)
            self._drain()
        finally:
            self._ended.set()

    def _drain(self) -> None:
        self._accept_all()
        # Only the listening socket: the server's own close would also end the trigger that wakes this loop.
        wasyncore.dispatcher.close(self._server)
        self._answer_within(self._drain_seconds)
        for channel in tuple(self._server.active_channels.values()):
            channel.give_up(self._drain_seconds)
        self._answer_within(_FAREWELL_SECONDS)
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)

    def _accept_all(self) -> None:
        """Accept every client that has connected: closing the listening socket would cut it off."""
        before = -1
        while len(self._server.active_channels) != before:
            before = len(self._server.active_channels)
            self._step(0.0)

    def _answer_within(self, seconds: float) -> None:
        """Close each connection that has nothing left to read, process or send."""
        deadline = time.monotonic() + seconds
        while self._server.active_channels and time.monotonic() < deadline:
            self._step(0.1)
            for channel in tuple(self._server.active_channels.values()):
                if not (channel.request or channel.requests or channel.total_outbufs_len):
                    channel.handle_close()

    def _close_slow(self, now: float) -> None:
        """Close connections whose request or answer transfers too slowly; waitress closes idle ones."""
        moving = {
            channel
            for channel in tuple(self._server.active_channels.values())
            if channel.request is not None or (channel.total_outbufs_len and not channel.requests)
        }
        self._transfers = {channel: self._transfers.get(channel, now) for channel in moving}
        for channel, begun in self._transfers.items():
            declared = channel.request.content_length if channel.request is not None else 0
            if now - begun > _TRANSFER_SECONDS + declared / _SLOWEST_BYTES_PER_SECOND:
                channel.handle_close()

    def _step(self, timeout: float) -> None:
        wasyncore.loop(timeout=timeout, use_poll=True, map=self._sockets, count=1)


def _most_bytes(limit: int) -> int:
    # Waitress answers a request that is too large in plain text, the application with a problem document. A
    # request just over the limit deserves the better answer, a flood does not.
    return 2 * limit


def _channel_class(most_job_bytes: int) -> type[HTTPChannel]:
    """Return a connection class that accepts larger requests for jobs than for anything else."""

    class Parser(HTTPRequestParser):
        adj: Adjustments

        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            # Set here so that the loop knows it too, to answer and log a request that is given up.
            self.headers[_REQUEST_ID] = request_log.id_of(self.headers.get(_REQUEST_ID, ""))
            if self.path == jobs.PATH:
                self.adj = copy(self.adj)
                self.adj.max_request_body_size = max(self.adj.max_request_body_size, most_job_bytes)

    class Channel(HTTPChannel):
        parser_class = Parser
        _answering: HTTPRequestParser | None = None

        def write_soon(self, data: Any) -> int:
            self._answering = self.requests[0]
            written: int = super().write_soon(data)
            return written

        def give_up(self, seconds: float) -> None:
            """Answer 503 for a request that is still in progress, and log it."""
            with self.outbuf_lock:
                # A second answer would corrupt one that has begun.
                if not self.requests or self.requests[0] is self._answering:
                    return
                request = self.requests[0]
                answer = _cut_off(request.headers[_REQUEST_ID])
                self.outbufs[-1].append(answer)
                self.total_outbufs_len += len(answer)
                self._flush_exception(self._flush_some, do_close=False)
                self.handle_close()
            _log.warning(
                "%s %s 503, not answered within the %g s allowed for shutdown %s",
                request.command,
                quote(request.path[:200]),
                seconds,
                request.headers[_REQUEST_ID],
            )

    return Channel


def _cut_off(request_id: str) -> bytes:
    """Return a 503 answer made without the application, whose threads are all busy."""
    detail = "The server is shutting down and could not finish this request in time; send it again."
    body = Problem(
        type=problems.uri("stopping"), title="Stopping", status=503, detail=detail, error=detail
    ).model_dump_json()
    head = (
        "HTTP/1.1 503 Service Unavailable",
        f"Content-Type: {problems.CONTENT_TYPE}",
        f"Content-Length: {len(body)}",
        f"Retry-After: {problems.RETRY_AFTER_SECONDS}",
        f"{request_log.HEADER}: {request_id}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", body)).encode()


def _trust(proxy: str | None) -> dict[str, Any]:
    if proxy is None:
        return {}
    return {
        "trusted_proxy": proxy,
        "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"},
        "clear_untrusted_proxy_headers": True,
    }
