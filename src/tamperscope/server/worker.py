"""A process that works on jobs and answers nobody but Prometheus."""

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
    """Work on jobs until SIGINT or SIGTERM, then finish the images in work and return; SIGHUP reloads.

    Raises `SettingsError` without Redis, else as `start` does.
    """
    logs.configure(settings.log_level, settings.log_format)
    lifecycle.run(lambda: start(settings, say), say, "Stopping when the images in work are through.")


def start(settings: Settings, say: Callable[[str], None] = _say) -> RunningWorker:
    """Return once images are worked on in the background.

    Raises `SettingsError`, `MissingExtraError`, `StoreError` or `BundleError` for what cannot be used.
    """
    if settings.redis is None:
        raise SettingsError(
            "A worker needs the Redis that its server uses; name it with --redis or TAMPERSCOPE_REDIS. "
            "Without Redis the server works on its jobs itself."
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
    say(f"tamperscope works on jobs with {identity.name} {identity.version}")
    return RunningWorker(parts)


@dataclass(frozen=True)
class RunningWorker:
    """A worker in background threads."""

    _parts: Assembly
    _stopped: threading.Event = field(default_factory=threading.Event)

    def reload(self) -> BundleIdentity:
        """Go on with the bundle that is there now, and return its identity; raises `BundleError`."""
        return self._parts.service.load()

    def wait(self) -> None:
        """Return when the worker was stopped."""
        # In slices, because some platforms do not interrupt an endless wait for Ctrl-C.
        while not self._stopped.wait(1.0):
            pass

    def stop(self) -> None:
        """Take no further image, finish those in progress, and end; the rest is left to other workers."""
        self._stopped.set()
        self._parts.stop()


def _serve_metrics(parts: Assembly) -> None:
    settings = parts.settings
    try:
        start_http_server(settings.metrics_port or 0, settings.host, parts.service.metrics.registry)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SettingsError(
            f"The worker cannot serve metrics on {settings.host} port {settings.metrics_port}: {reason}."
        ) from None
