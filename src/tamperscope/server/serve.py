"""The serving loop: bind, load, listen, warm up, and stop without dropping anybody's answer."""

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

# Threads beyond those that analyse or wait: they answer /health and say 503 while the queue is full.
_SPARE_THREADS = 4
_FAREWELL_SECONDS = 2.0
"""For answers that are on the way when the time of a stop is over."""
_IDLE_SECONDS = 30
# For a request or an answer; what a job sends gets more, at 3.5 Mbit/s.
_TRANSFER_SECONDS = 120.0
_SLOWEST_BYTES_PER_SECOND = 437_500
# Below the 1024 files that a process may usually have open.
_MOST_CONNECTIONS = 500
_EXPIRY_SECONDS = 3600.0
# As waitress calls it.
_REQUEST_ID = request_log.HEADER.upper().replace("-", "_")
_say = partial(print, flush=True)

_log = logging.getLogger(__name__)


def run(settings: Settings, say: Callable[[str], None] = _say) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is running and return.

    SIGHUP reads bundle and keys anew, as `RunningServer.reload` does.

    Raises `SettingsError` when the address or the keys cannot be used, `StoreError` when the database
    cannot, and `BundleError` when the bundle cannot.
    """
    logs.configure(settings.log_level, settings.log_format)
    lifecycle.run(lambda: start(settings, say), say, "Stopping when the running requests are answered.")


def start(settings: Settings, say: Callable[[str], None] = _say) -> RunningServer:
    """Return once the server answers in the background; `say` hears its address and the tunnel's.

    Raises as `run` does. A tunnel that cannot be opened is said, and the server keeps running without.
    """
    listener = _bind(settings)
    leave_blas_one_thread()
    lifecycle.share_heaps()
    try:
        parts = assembly.assemble(
            settings,
            partial(assembly.load_detector, settings),
            assembly.open_store(settings),
            # With Redis, the jobs are for worker processes.
            job_threads=0 if settings.redis else settings.workers,
        )
        app = application.create_app(parts)
        loop = _Loop(app, settings, listener)
    except BaseException:
        listener.close()
        raise
    url = _url(settings.host, listener.getsockname()[1])
    retention = threading.Thread(
        target=_expire_now_and_then,
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
        say(f"tamperscope answers on {running.url}")
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
    """Its public address, if one was asked for and could be opened."""
    _loop: _Loop
    _reload: Callable[[], BundleIdentity]
    _parts: Assembly
    _retention: threading.Thread

    def reload(self) -> BundleIdentity:
        """Answer with the bundle and the keys that are there now, and return which bundle that is.

        Running requests end with what they began with. Raises `BundleError` or `SettingsError` when what is
        there cannot be used; the server then goes on with what it had.
        """
        return self._reload()

    def begin_jobs(self) -> None:
        """Work on the jobs that are there, and on those that come, unless worker processes do."""
        self._parts.runner.start()

    def wait(self) -> None:
        """Return when the server has ended."""
        self._loop.wait()

    def stop(self) -> None:
        """Take no further requests or images of jobs, finish those that are running, and end.

        A request that takes too long is answered 503. May be called twice.
        """
        if self.tunnel:
            self.tunnel.close()
        self._loop.stop()
        self._retention.join(self._parts.settings.drain)
        self._parts.stop()


def _expire_now_and_then(parts: Assembly, loop: _Loop) -> None:
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
            _log.warning("what is older than %d days could not be deleted; trying again later", days)
        if loop.ends_within(_EXPIRY_SECONDS):
            return


def _with_tunnel(running: RunningServer, settings: Settings, say: Callable[[str], None]) -> RunningServer:
    if settings.tunnel != "ngrok":
        return running
    try:
        tunnel = open_tunnel(running.url, settings.ngrok_token)
    except TunnelError as error:
        say(f"{error} The server keeps answering on {running.url}.")
        return running
    say(f"and to the whole internet on {tunnel.public_url}")
    return replace(running, tunnel=tunnel)


def _bind(settings: Settings) -> socket.socket:
    # Before the model is loaded, so that a port in use is said at once and not after seconds.
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
    """Waitress in a thread of its own, with an end that waits for the running requests.

    Waitress itself stops by an exception inside its loop, which closes sockets whose answers are not sent.
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
            # Reading on while a request waits shows whether its client is still there.
            channel_request_lookahead=1,
            # Above this many bytes a thread waits until its client has read some, and a client may never.
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
            # The loop may have seen it by itself and be over: then there is nothing left to wake.
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
        # Only the listening socket: the server's own close would also end what wakes this loop.
        wasyncore.dispatcher.close(self._server)
        self._answer_within(self._drain_seconds)
        for channel in tuple(self._server.active_channels.values()):
            channel.give_up(self._drain_seconds)
        self._answer_within(_FAREWELL_SECONDS)
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)

    def _accept_all(self) -> None:
        """Accept whoever has connected by now: closing the listening socket would cut them off."""
        before = -1
        while len(self._server.active_channels) != before:
            before = len(self._server.active_channels)
            self._step(0.0)

    def _answer_within(self, seconds: float) -> None:
        """Close each connection that has nothing left to read, to do or to send."""
        deadline = time.monotonic() + seconds
        while self._server.active_channels and time.monotonic() < deadline:
            self._step(0.1)
            for channel in tuple(self._server.active_channels.values()):
                if not (channel.request or channel.requests or channel.total_outbufs_len):
                    channel.handle_close()

    def _close_slow(self, now: float) -> None:
        """Close connections whose request or answer takes too long on the way; waitress closes idle ones."""
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
    # Waitress refuses in plain text, the application in a problem; what is just over the limit is the case
    # that deserves the better answer, a flood is not.
    return 2 * limit


def _channel_class(most_job_bytes: int) -> type[HTTPChannel]:
    """Return connections that take more bytes for a job than for anything else."""

    class Parser(HTTPRequestParser):
        adj: Adjustments

        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            # Here, so that the loop knows it too: what is given up has one.
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
            """Answer 503 in the place of a request that is still worked on, and say so in the log."""
            with self.outbuf_lock:
                # An answer that has begun would be broken by another one.
                if not self.requests or self.requests[0] is self._answering:
                    return
                request = self.requests[0]
                answer = _cut_off(request.headers[_REQUEST_ID])
                self.outbufs[-1].append(answer)
                self.total_outbufs_len += len(answer)
                self._flush_exception(self._flush_some, do_close=False)
                self.handle_close()
            _log.warning(
                "%s %s 503, not answered within the %g s of a stop %s",
                request.command,
                quote(request.path[:200]),
                seconds,
                request.headers[_REQUEST_ID],
            )

    return Channel


def _cut_off(request_id: str) -> bytes:
    """Return an answer without the application, whose threads are all busy."""
    detail = "The server is being stopped, and there was no time left for this request; send it again."
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
