"""The parts of a server and of a worker process, wired in one place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tamperscope import detector
from tamperscope.detector import Detector
from tamperscope.errors import ImageError, QuotaError, StoppingError, StoreError
from tamperscope.jobs.model import Claim, Failure
from tamperscope.jobs.outbox import Outbox
from tamperscope.jobs.queue import JobQueue
from tamperscope.jobs.runner import JobRunner
from tamperscope.jobs.wakeups import Wakeups
from tamperscope.jobs.webhooks import Postman
from tamperscope.server.archive import AnalysisArchive
from tamperscope.server.detector_service import DetectorService
from tamperscope.server.middleware import problems
from tamperscope.settings import Settings
from tamperscope.store import AnalysisStore, Database

_FAREWELL_SECONDS = 5.0
"""Time for an analysis to notice that it should end."""

_RESERVED_BESIDE_IMAGE = 16 * 2**20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assembly:
    """The parts of one process, wired together."""

    settings: Settings
    store: AnalysisStore
    service: DetectorService
    archive: AnalysisArchive
    jobs: JobQueue
    runner: JobRunner

    def stop(self) -> bool:
        """Let the job images in progress finish, end what takes too long, and close the database.

        Returns whether everything has ended. What has not is in native code, and would hold up the process.
        """
        self.runner.stop(self.settings.drain)
        self.service.stop()
        ended = self.service.idle_within(_FAREWELL_SECONDS)
        self.store.close()
        return ended


def assemble(
    settings: Settings, load: Callable[[], Detector], store: AnalysisStore, *, job_threads: int
) -> Assembly:
    """Return the parts of a process that runs under `settings` and loads its detectors with `load`.

    The process analyses `job_threads` job images at the same time; 0 leaves them to worker processes.

    Raises `SettingsError` or `MissingExtraError` when Redis cannot be used.
    """
    service = DetectorService(settings, load)
    archive = AnalysisArchive(service, store)
    jobs = JobQueue(store.database, lease=timedelta(seconds=settings.job_lease))
    runner = JobRunner(
        jobs,
        lambda claim: _analyze(claim, service, archive),
        Wakeups(settings.redis),
        threads=job_threads,
        postman=Postman(Outbox(store.database), private=settings.webhooks == "any"),
        slot=service.low_priority_slot,
    )
    return Assembly(settings, store, service, archive, jobs, runner)


def load_detector(settings: Settings) -> Detector:
    """Return a detector configured by `settings`; raises `BundleError` as `Detector.load` does."""
    return detector.Detector.load(settings.model, settings.detector_options)


def open_store(settings: Settings) -> AnalysisStore:
    """Return the store of analyses, with its database schema up to date.

    Raises `SettingsError`, `MissingExtraError` or `StoreError` when the database cannot be used.
    """
    # Deleting the largest image that may be kept needs as much space again, and some for the rest.
    database = Database(settings.database, reserve=settings.max_bytes + _RESERVED_BESIDE_IMAGE)
    database.migrate()
    return AnalysisStore(database, quota=settings.quota)


def _analyze(claim: Claim, service: DetectorService, archive: AnalysisArchive) -> str | Failure:
    try:
        stored, _ = archive.analyze(claim.data, owner=claim.owner, keep=claim.keep)
    except (StoreError, StoppingError):
        # Nothing is wrong with the image; it is analysed later.
        raise
    except (ImageError, QuotaError) as error:
        outcome: str | Failure = Failure(problems.slug_of(error), str(error))
    except Exception:
        _log.exception("job %s: unexpected error in image %d", claim.job_id, claim.number)
        outcome = Failure(
            problems.UNEXPECTED, "The server failed to analyse this image; see its log for the reason."
        )
    else:
        outcome = stored.id
    service.metrics.job_image("failed" if isinstance(outcome, Failure) else "done")
    return outcome
