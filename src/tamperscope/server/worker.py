"""A process that analyses job images; its only endpoint is for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from prometheus_client import start_http_server

from tamperscope.cores import leave_blas_one_thread
from tamperscope.errors import SettingsError
from tamperscope.report import BundleIdentity
from tamperscope.server import assembly, lifecycle, logs
from tamperscope.server.assembly import Assembly
from tamperscope.settings import Settings

_say = partial(print, flush=True)


def run(settings: Settings, say: Callable[[str], None] = _say) -> None:
    """Process jobs until SIGINT or SIGTERM, then finish the images in progress and return.

    SIGHUP reloads the bundle. Raises as `start` does.
    """
    logs.configure(settings.log_level, settings.log_format)
    lifecycle.run(lambda: start(settings, say), say, "Stopping after the images in progress are finished.")


def start(settings: Settings, say: Callable[[str], None] = _say) -> RunningWorker:
    """Start processing job images in the background, and return.

    Raises `SettingsError` without Redis. Raises `SettingsError`, `MissingExtraError`, `StoreError` or
    `BundleError` when a setting, Redis, the database or the bundle cannot be used.
    """
    if settings.redis is None:
        raise SettingsError(
            "A worker needs the Redis that its server uses; set it with --redis or TAMPERSCOPE_REDIS. "
            "Without Redis, the server processes its jobs itself."
        )
    leave_blas_one_thread()
    lifecycle.share_heaps()
    parts = assembly.assemble(
        settings,
        partial(assembly.load_detector, settings),
        assembly.open_store(settings),
        job_threads=settings.workers,
    )
    identity = parts.service.load()
    if settings.metrics_port is not None:
        _serve_metrics(parts)
    parts.runner.start()
    say(f"tamperscope is processing jobs with {identity.name} {identity.version}")
    return RunningWorker(parts)


@dataclass(frozen=True)
class RunningWorker:
    """A worker in background threads."""

    _parts: Assembly
    _stopped: threading.Event = field(default_factory=threading.Event)

    def reload(self) -> BundleIdentity:
        """Load the bundle again, continue with it, and return its identity; raises `BundleError`."""
        return self._parts.service.load()

    def wait(self) -> None:
        """Return when the worker has been stopped, or when so much of it hangs that another should start."""
        # In slices, because some platforms do not interrupt an endless wait for Ctrl-C.
        while not self._stopped.wait(1.0) and not self._parts.service.exhausted:
            pass

    def stop(self) -> bool:
        """Take no more images, finish those in progress, and end; other workers take the rest.

        Returns whether every analysis has ended.
        """
        self._stopped.set()
        return self._parts.stop()


def _serve_metrics(parts: Assembly) -> None:
    settings = parts.settings
    try:
        start_http_server(settings.metrics_port or 0, settings.host, parts.service.metrics.registry)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SettingsError(
            f"The worker cannot serve metrics on {settings.host} port {settings.metrics_port}: {reason}."
        ) from None
