"""What a server and a worker process have in common: images of jobs through the server's own analysis."""

from __future__ import annotations

import logging
from datetime import timedelta

from tamperscope.errors import ImageError, StoreError
from tamperscope.jobs import JobRunner, Postman, Wakeups
from tamperscope.server import problems
from tamperscope.server.analyses import Analyses
from tamperscope.server.analysis import AnalysisService
from tamperscope.server.settings import Settings
from tamperscope.store import Claim, Database, Failure, JobStore

_log = logging.getLogger(__name__)


def job_store(settings: Settings, database: Database) -> JobStore:
    """Return the jobs of a database under `settings`."""
    return JobStore(database, lease=timedelta(seconds=settings.job_lease))


def job_runner(
    settings: Settings, service: AnalysisService, analyses: Analyses, jobs: JobStore, *, threads: int
) -> JobRunner:
    """Return who works on jobs in this process, in so many threads, whenever nobody else needs the networks.

    Raises `SettingsError` or `MissingExtraError` when Redis cannot be used.
    """

    def analyze(claim: Claim) -> str | Failure:
        try:
            stored, _ = analyses.analyze(claim.data, owner=claim.owner, keep=claim.keep)
        except StoreError:
            raise
        except ImageError as error:
            outcome: str | Failure = Failure(problems.slug_of(error), str(error))
        except Exception:
            _log.exception("job %s: unexpected error at image %d", claim.job_id, claim.number)
            outcome = Failure(problems.UNEXPECTED, "The server failed at this image; its log says why.")
        else:
            outcome = stored.id
        service.metrics.job_image("failed" if isinstance(outcome, Failure) else "done")
        return outcome

    return JobRunner(
        jobs,
        analyze,
        Wakeups(settings.redis),
        threads=threads,
        postman=Postman(jobs, private=settings.webhooks == "any"),
        place=service.patiently,
    )
