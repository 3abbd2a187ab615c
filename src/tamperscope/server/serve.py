"""The serving loop: bind, load, listen, warm up, and stop without dropping an answer."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

from tamperscope.cores import leave_blas_one_thread
from tamperscope.errors import SettingsError, StoreError, TunnelError
from tamperscope.report import BundleIdentity
from tamperscope.server import app as application
from tamperscope.server import assembly, lifecycle, logs
from tamperscope.server.app import Controls
from tamperscope.server.assembly import Assembly
from tamperscope.server.loop import Loop
from tamperscope.server.tunnel import Tunnel, open_tunnel
from tamperscope.settings import Settings

_EXPIRY_SECONDS = 3600.0
_LONGEST_PRIVATE = timedelta(days=1)
_MOST_OPEN_FILES = 4096
"""For connections and their temporary files; systems usually allow 1024."""
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
    lifecycle.allow_open_files(_MOST_OPEN_FILES)
    try:
        parts = assembly.assemble(
            settings,
            partial(assembly.load_detector, settings),
            assembly.open_store(settings),
            # With Redis, worker processes do the jobs.
            job_threads=0 if settings.redis else settings.workers,
        )
        app = application.create_app(parts)
        controls = application.controls(app)
        loop = Loop(app, settings, listener, controls.body_limit)
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
        _controls=controls,
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
    _loop: Loop
    _controls: Controls
    _parts: Assembly
    _retention: threading.Thread

    def reload(self) -> BundleIdentity:
        """Load the bundle and the keys again, answer with them, and return the bundle's identity.

        Running requests finish with the bundle and keys they started with. Raises `BundleError` or
        `SettingsError` when the new ones cannot be used; the server then keeps the old ones.
        """
        return self._controls.reload()

    def begin_jobs(self) -> None:
        """Process waiting and future jobs in this process, unless worker processes do."""
        self._parts.runner.start()

    def wait(self) -> None:
        """Return when the server has ended, or when so much of it hangs that it should be started again."""
        while not self._loop.ends_within(1.0) and not self._parts.service.exhausted:
            pass

    def stop(self) -> bool:
        """Accept no more requests or job images, finish those in progress, and end.

        A request that takes too long receives 503. May be called twice. Returns whether every analysis has
        ended; one that has not is left to its thread.
        """
        if self.tunnel:
            self.tunnel.close()
        self._loop.stop()
        self._retention.join(self._parts.settings.drain)
        return self._parts.stop()


def _expire_regularly(parts: Assembly, loop: Loop) -> None:
    days = parts.settings.retention
    while True:
        try:
            if expired := parts.store.expire_private(_LONGEST_PRIVATE):
                _log.info("deleted %d private analyses", expired)
            for kept, name in ((parts.store, "analyses"), (parts.jobs, "jobs")):
                if days is not None and (expired := kept.expire(timedelta(days=days))):
                    _log.info("deleted %d %s older than %d days", expired, name, days)
        except StoreError:
            _log.warning("analyses and jobs that have expired could not be deleted; trying again later")
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
    running._controls.allow_host(urlsplit(tunnel.public_url).hostname or "")
    say(f"and is public on the internet at {tunnel.public_url}")
    return replace(running, tunnel=tunnel)


def _bind(settings: Settings) -> socket.socket:
    # Before the model is loaded, so that a port in use is reported at once and not after seconds.
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((str(address[0]), settings.port), family=family)
    except (OSError, UnicodeError) as error:
        # Names are encoded before they are looked up. Two dots in a row, for example, cannot be.
        strerror = error.strerror if isinstance(error, OSError) else "not a valid host name"
        reason = (strerror or "unknown reason").lower()
        raise SettingsError(
            f"The server cannot listen on {settings.host} port {settings.port}: {reason}. "
            f"Choose another with --host and --port."
        ) from None


def _url(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
