"""The worker loop: claim an image, analyse it, record the result, repeat."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tamperscope.errors import StoppingError, StoreError
from tamperscope.jobs.model import Claim, Failure
from tamperscope.jobs.queue import JobQueue
from tamperscope.jobs.wakeups import Wakeups
from tamperscope.jobs.webhooks import Postman

INTERVAL_SECONDS = 5.0
"""Longest interval between checks for expired leases, missing wake-ups and due webhooks."""
LONGEST_ANALYSIS_SECONDS = 600.0
"""A worker that takes longer for one image is considered hung and loses its lease."""

_WORKER_DIED = Failure(
    "worker-died",
    "Every worker that took this image died or hung before it had finished, so the image was skipped; please "
    "report this, together with the image.",
)

_log = logging.getLogger(__name__)

Analyze = Callable[[Claim], str | Failure]
"""Returns the id of an image's stored analysis, or why it has no analysis.

Raises `StoreError` and `StoppingError`: the image is then analysed later.
"""


class JobRunner:
    """The part of a process that works on jobs.

    Without threads, it leaves the images to other processes and does only the rest: it wakes workers, gives
    up on images that workers die with, and delivers webhooks. `slot` is held while an image is analysed.
    """

    def __init__(
        self,
        jobs: JobQueue,
        analyze: Analyze,
        wakeups: Wakeups,
        *,
        threads: int,
        postman: Postman,
        slot: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._jobs = jobs
        self._analyze = analyze
        self._wakeups = wakeups
        self._threads = threads
        self._postman = postman
        self._slot = slot
        self._stopping = threading.Event()
        interval = min(INTERVAL_SECONDS, jobs.lease.total_seconds() / 4)
        self._rounds = (
            _Round("jobs", self.look_after, interval),
            _Round("webhooks", postman.deliver_all, interval),
        )

    def start(self) -> None:
        """Work in the background from now on."""
        if self._threads:
            self._wakeups.start(self.work, self._threads)
        for each in self._rounds:
            each.start()

    def stop(self, seconds: float) -> None:
        """Take no more images; return when those in progress are finished, or after `seconds`."""
        self._stopping.set()
        for each in self._rounds:
            each.stop()
        self._wakeups.stop(seconds)

    def nudge(self) -> None:
        """Announce a new job, so that it does not wait for the next round."""
        self._rounds[0].nudge()

    def work(self) -> bool:
        """Take one image and analyse it; return whether its outcome was recorded."""
        try:
            with self._slot():
                if self._stopping.is_set():
                    return False
                claim = self._jobs.claim()
                if claim is None:
                    return False
                with self._held(claim):
                    self._settle(claim)
        except (StoreError, StoppingError):
            # The reason is in the log already. The image waits until the next round.
            return False
        # It may have been the last image of its job, so a webhook may be due.
        self._rounds[1].nudge()
        return True

    def look_after(self) -> None:
        """Give up on images that workers died with, and wake a worker for each waiting image."""
        if given_up := self._jobs.give_up(_WORKER_DIED):
            _log.error("jobs: gave up on %d images that workers died with", given_up)
            self._rounds[1].nudge()
        self._wakeups.top_up(self._jobs.claimable())

    def _settle(self, claim: Claim) -> None:
        if claim.attempt > 1:
            _log.warning("job %s: image %d: trying again", claim.job_id, claim.number)
        try:
            outcome = self._analyze(claim)
            if isinstance(outcome, Failure):
                self._jobs.fail(claim, outcome)
            else:
                self._jobs.finish(claim, outcome)
        except (StoreError, StoppingError):
            # The database failed or the process ends; the image is not the cause.
            self._jobs.release(claim)
            raise

    @contextmanager
    def _held(self, claim: Claim) -> Iterator[None]:
        """Renew the lease of an image in the background."""
        finished = threading.Event()
        threading.Thread(
            target=self._renew, args=(claim, finished), name="tamperscope-lease", daemon=True
        ).start()
        try:
            yield
        finally:
            finished.set()

    def _renew(self, claim: Claim, finished: threading.Event) -> None:
        deadline = time.monotonic() + LONGEST_ANALYSIS_SECONDS
        while not finished.wait(self._jobs.lease.total_seconds() / 3) and time.monotonic() < deadline:
            try:
                if not self._jobs.renew(claim):
                    return
            except StoreError:
                # The reason is in the log. The lease lasts for two more of these intervals.
                continue


class _Round:
    """Calls a function every few seconds in its own thread, and at once when nudged."""

    def __init__(self, name: str, do: Callable[[], None], interval: float) -> None:
        self._do = do
        self._interval = interval
        self._nudged = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"tamperscope-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def nudge(self) -> None:
        self._nudged.set()

    def stop(self) -> None:
        self._stopped = True
        self._nudged.set()

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._do()
            except StoreError:
                # Logged where it happened; the next round may reach the database again.
                pass
            except Exception:
                _log.exception("unexpected error in %s", self._thread.name)
            self._nudged.wait(self._interval)
            self._nudged.clear()
