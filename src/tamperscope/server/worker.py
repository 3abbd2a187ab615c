"""A process that works on jobs and answers nobody but Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from prometheus_client import start_http_server

from tamperscope.cores import leave_blas_one_thread
from tamperscope.errors import SettingsError
from tamperscope.jobs import JobRunner
from tamperscope.report import BundleIdentity
from tamperscope.server import logs, process
from tamperscope.server.analyses import Analyses
from tamperscope.server.analysis import AnalysisService
from tamperscope.server.settings import Settings
from tamperscope.server.work import job_runner, job_store
from tamperscope.store import Store

_say = partial(print, flush=True)


def run(settings: Settings, say: Callable[[str], None] = _say) -> None:
    """Work on jobs until SIGINT or SIGTERM, then finish the images in work and return; SIGHUP reloads.

    Raises `SettingsError` without Redis, else as `start` does.
    """
    logs.configure(settings.log_level, settings.log_format)
    process.run(lambda: start(settings, say), say, "Stopping when the images in work are through.")


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
    process.share_heaps()
    store = settings.open_store()
    service = AnalysisService(settings, settings.load_detector)
    jobs = job_store(settings, store.database)
    runner = job_runner(settings, service, Analyses(service, store, settings), jobs, threads=settings.workers)
    identity = service.load()
    if settings.metrics_port is not None:
        _show_figures(settings, service)
    runner.start()
    say(f"tamperscope works on jobs with {identity.name} {identity.version}")
    return RunningWorker(service, runner, store, settings.drain)


@dataclass(frozen=True)
class RunningWorker:
    """A worker in background threads."""

    _service: AnalysisService
    _runner: JobRunner
    _store: Store
    _drain_seconds: float
    _stopped: threading.Event = field(default_factory=threading.Event)

    def reload(self) -> BundleIdentity:
        """Go on with the bundle that is there now, and return which one that is; raises `BundleError`."""
        return self._service.load()

    def wait(self) -> None:
        """Return when the worker was stopped."""
        # In slices, because some platforms do not interrupt an endless wait for Ctrl-C.
        while not self._stopped.wait(1.0):
            pass

    def stop(self) -> None:
        """Take no further image, finish those in work, and end; what takes too long is done elsewhere."""
        self._stopped.set()
        self._runner.stop(self._drain_seconds)
        self._store.close()


def _show_figures(settings: Settings, service: AnalysisService) -> None:
    try:
        start_http_server(settings.metrics_port or 0, settings.host, service.metrics.registry)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SettingsError(
            f"The worker cannot show its figures on {settings.host} port {settings.metrics_port}: {reason}."
        ) from None
