"""The queue of jobs, stored in the database.

Every change to a job is made here. Each step is one transaction, so it happens once or not at all:

    submit ──> claim ──> finish | fail ──> the next claim ──> ...    a worker processes the images
                 └─────> release                                     a worker stops during an image
                 └─────> (the lease expires) ──> claim ──> give_up   a worker dies during an image

A worker that claims an image holds a lease and must renew it. Only the holder of the latest lease can record
the image's result. A worker that was presumed dead and comes back therefore changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tamperscope.errors import TooManyJobsError
from tamperscope.jobs.model import (
    Backlog,
    Claim,
    Failure,
    Fingerprint,
    ImageResult,
    ImageState,
    Job,
    JobState,
    Submission,
    SubmittedImage,
    Webhook,
    WebhookState,
)
from tamperscope.store.analyses import delete_rows, summaries
from tamperscope.store.database import Database, lock_name
from tamperscope.store.tables import AnalysisRow, JobFileRow, JobImageRow, JobRow, WebhookRow

MOST_ATTEMPTS = 3
"""An image whose last three workers all disappeared is assumed to have killed them, and is marked failed."""
LEASE = timedelta(seconds=60)
LONGEST_LEASE = timedelta(hours=1)


def _now() -> datetime:
    return datetime.now(UTC)


class JobQueue:
    """The jobs of one database, for any number of threads, processes and machines.

    Machines that share a database need clocks that agree within seconds, because leases are measured by them.
    Every method raises `StoreError` when the database cannot be used.
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime] = _now, lease: timedelta = LEASE
    ) -> None:
        self._database = database
        self._now = now
        self.lease = lease

    def submit(
        self, submission: Submission, images: Iterable[SubmittedImage], *, most: int | None = None
    ) -> tuple[Job, bool]:
        """Store a job with its images and return it and True.

        If the owner already has a job with the same idempotency key, return that job and False. It may come
        from a different request: compare its `fingerprint` with `fingerprint(submission, images)`.

        `images` are read inside the transaction, so reading them must be quick; at most one is in memory. If
        reading raises, nothing is stored. Raises `TooManyJobsError` when the owner would have more than
        `most` unfinished jobs.
        """
        id, now = secrets.token_hex(16), self._now()
        try:
            with self._database.transaction() as session:
                _insert_job(session, id, now, submission)
                _check_number(session, submission.owner, most)
                total = failed = 0
                fingerprint = Fingerprint(submission)
                for number, image in enumerate(images):
                    fingerprint.add(image)
                    total += 1
                    failed += image.failure is not None
                    _insert_image(session, id, number, image, failed)
                session.execute(
                    update(JobRow)
                    .where(JobRow.id == id)
                    .values(total=total, failed=failed, fingerprint=fingerprint.value)
                )
                _end_if_finished(session, id, now)
                return get_job(session, JobRow.id == id), True
        except IntegrityError:
            with self._database.transaction() as session:
                found = _found(
                    session,
                    JobRow.owner == submission.owner,
                    JobRow.idempotency_key == submission.idempotency_key,
                )
            if submission.idempotency_key is None or found is None:
                raise
            return found, False

    def get(self, id: str, *, owner: str) -> Job | None:
        """Return a job of an owner, or None if it does not exist."""
        with self._database.transaction() as session:
            return _found(session, JobRow.id == id, JobRow.owner == owner)

    def list(
        self, *, owner: str, limit: int, after: str | None = None, state: JobState | None = None
    ) -> Sequence[Job]:
        """Return at most `limit` jobs of an owner, newest first, starting after the job `after`.

        Returns nothing if the owner has no job with that id.
        """
        query = (
            select(JobRow, WebhookRow)
            .outerjoin(WebhookRow, WebhookRow.job_id == JobRow.id)
            .where(JobRow.owner == owner)
            .order_by(JobRow.created.desc(), JobRow.id.desc())
            .limit(limit)
        )
        if state is not None:
            query = query.where(JobRow.state == state)
        with self._database.transaction() as session:
            if after is not None:
                last = session.get(JobRow, after)
                if last is None or last.owner != owner:
                    return []
                query = query.where(tuple_(JobRow.created, JobRow.id) < tuple_(last.created, last.id))
            return [_as_job(*row) for row in session.execute(query)]

    def results(
        self, id: str, *, limit: int, after: int = 0, state: ImageState | None = None
    ) -> Sequence[ImageResult]:
        """Return at most `limit` results of a job, in order of completion, after position `after`."""
        image = JobImageRow
        query = (
            select(image)
            .where(image.job_id == id, image.settled > after)
            .order_by(image.settled)
            .limit(limit)
        )
        if state is not None:
            query = query.where(image.state == state)
        with self._database.transaction() as session:
            rows = session.scalars(query).all()
            ids = {row.analysis_id for row in rows if row.analysis_id}
            analyses = {each.id: each for each in summaries(session, AnalysisRow.id.in_(ids))}
            return [
                ImageResult(
                    settled=row.settled or 0,
                    number=row.number,
                    name=row.name,
                    analysis=analyses.get(row.analysis_id or ""),
                    failure=Failure(row.error_kind, row.error or "") if row.error_kind else None,
                )
                for row in rows
            ]

    def cancel(self, id: str, *, owner: str) -> Job | None:
        """Cancel an owner's job and delete its remaining files; return the job, or None if it does not exist.

        Results so far remain. The result of an image in progress is discarded. A job that has ended is not
        changed.
        """
        with self._database.transaction() as session:
            if _lock(session, JobRow.id == id, JobRow.owner == owner, JobRow.finished.is_(None)):
                session.execute(
                    update(JobImageRow)
                    .where(JobImageRow.job_id == id, JobImageRow.settled.is_(None))
                    .values(state=ImageState.CANCELLED, lease=None, leased_until=None)
                )
                session.execute(delete(JobFileRow).where(JobFileRow.job_id == id))
                _end(session, id, JobState.CANCELLED, self._now())
            return _found(session, JobRow.id == id, JobRow.owner == owner)

    def delete(self, id: str, *, owner: str) -> bool:
        """Delete an owner's job with everything except its analyses; return whether there was one."""
        return delete_rows(self._database, JobRow, JobRow.id == id, JobRow.owner == owner) > 0

    def erase(self, *, owner: str) -> int:
        """Delete all jobs of an owner with everything except their analyses; return how many there were."""
        return delete_rows(self._database, JobRow, JobRow.owner == owner)

    def expire(self, age: timedelta) -> int:
        """Delete the jobs of all owners that ended more than `age` ago; return how many there were."""
        return delete_rows(self._database, JobRow, JobRow.finished < self._now() - age)

    def claim(self) -> Claim | None:
        """Claim the next image to analyse and return the claim, or None if no image is free.

        Jobs take turns. Within a job, the images are claimed in their order.
        """
        while True:
            now = self._now()
            free = _free(now)
            with self._database.transaction() as session:
                next_job = (
                    select(JobRow.id)
                    .where(
                        JobRow.finished.is_(None),
                        exists().where(JobImageRow.job_id == JobRow.id, free),
                    )
                    .order_by(JobRow.served)
                    .limit(1)
                    .scalar_subquery()
                )
                # Workers that choose the same job wait here for each other, then select its next image.
                job = session.execute(
                    update(JobRow)
                    .where(JobRow.id == next_job, JobRow.finished.is_(None))
                    .values(served=now, state=JobState.RUNNING)
                    .returning(JobRow.id, JobRow.owner, JobRow.keep)
                    .execution_options(synchronize_session=False)
                ).one_or_none()
                if job is None:
                    return None
                next_image = (
                    select(JobImageRow.number)
                    .where(JobImageRow.job_id == job.id, free)
                    .order_by(JobImageRow.number)
                    .limit(1)
                    .scalar_subquery()
                )
                image = session.execute(
                    update(JobImageRow)
                    .where(JobImageRow.job_id == job.id, JobImageRow.number == next_image)
                    .values(
                        state=ImageState.RUNNING,
                        attempts=JobImageRow.attempts + 1,
                        lease=secrets.token_hex(16),
                        leased_until=now + self.lease,
                    )
                    .returning(JobImageRow.number, JobImageRow.lease, JobImageRow.attempts)
                    .execution_options(synchronize_session=False)
                ).one_or_none()
                # None if other workers took the last images meanwhile; another job may have more.
                if image is not None:
                    data = session.scalars(
                        select(JobFileRow.data).where(
                            JobFileRow.job_id == job.id, JobFileRow.number == image.number
                        )
                    ).one()
                    return Claim(job.id, image.number, image.lease, image.attempts, job.owner, job.keep, data)

    def renew(self, claim: Claim) -> bool:
        """Extend the lease of an image; return whether the claim still holds it."""
        return self._change(claim, leased_until=self._now() + self.lease)

    def release(self, claim: Claim) -> bool:
        """Return an image to the queue as if unclaimed; return whether the claim still held it."""
        return self._change(
            claim,
            state=ImageState.WAITING,
            attempts=JobImageRow.attempts - 1,
            lease=None,
            leased_until=None,
        )

    def finish(self, claim: Claim, analysis_id: str) -> bool:
        """Record the analysis of an image; return whether the claim still held it."""
        return self._settle(claim, ImageState.DONE, analysis_id=analysis_id)

    def fail(self, claim: Claim, failure: Failure) -> bool:
        """Record why an image has no analysis; return whether the claim still held it."""
        return self._settle(claim, ImageState.FAILED, error_kind=failure.kind, error=failure.detail)

    def give_up(self, failure: Failure) -> int:
        """Mark as failed the images that `MOST_ATTEMPTS` workers died with; return how many there were."""
        image = JobImageRow
        with self._database.transaction() as session:
            dead = session.execute(
                select(image.job_id, image.number, image.lease).where(
                    image.state == ImageState.RUNNING,
                    _expired(self._now()),
                    image.attempts >= MOST_ATTEMPTS,
                )
            ).all()
        claims = [
            Claim(row.job_id, row.number, row.lease or "", MOST_ATTEMPTS, owner="", keep=False, data=b"")
            for row in dead
        ]
        return sum(self.fail(claim, failure) for claim in claims)

    def claimable(self) -> int:
        """Return how many images could be claimed now."""
        with self._database.transaction() as session:
            return _count(session, JobImageRow, _free(self._now()))

    def backlog(self) -> Backlog:
        """Return the work that remains."""
        with self._database.transaction() as session:
            jobs = session.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
            oldest = session.scalar(select(func.min(JobRow.created)).where(JobRow.finished.is_(None)))
            return Backlog(
                jobs={JobState(state): count for state, count in jobs},
                waiting=_count(session, JobImageRow, JobImageRow.state == ImageState.WAITING),
                running=_count(session, JobImageRow, JobImageRow.state == ImageState.RUNNING),
                oldest_seconds=(self._now() - oldest).total_seconds() if oldest else 0.0,
            )

    def _change(self, claim: Claim, **values: Any) -> bool:
        with self._database.transaction() as session:
            changed = session.execute(
                update(JobImageRow).where(_held(claim)).values(**values),
                execution_options={"synchronize_session": False},
            )
            return _touched(changed)

    def _settle(self, claim: Claim, state: ImageState, **values: Any) -> bool:
        now = self._now()
        with self._database.transaction() as session:
            if not _lock(session, JobRow.id == claim.job_id):
                return False
            position = select(JobRow.done + JobRow.failed + 1).where(JobRow.id == claim.job_id)
            settled = session.execute(
                update(JobImageRow)
                .where(_held(claim))
                .values(
                    state=state, settled=position.scalar_subquery(), lease=None, leased_until=None, **values
                ),
                execution_options={"synchronize_session": False},
            )
            if not _touched(settled):
                return False
            counter = JobRow.done if state is ImageState.DONE else JobRow.failed
            session.execute(
                update(JobRow)
                .where(JobRow.id == claim.job_id)
                .values({counter: counter + 1})
                .execution_options(synchronize_session=False)
            )
            session.execute(
                delete(JobFileRow).where(JobFileRow.job_id == claim.job_id, JobFileRow.number == claim.number)
            )
            _end_if_finished(session, claim.job_id, now)
            return True


def get_job(session: Session, *conditions: ColumnElement[bool]) -> Job:
    """Return the one job that meets the conditions; the caller's transaction must know that it exists."""
    job = _found(session, *conditions)
    assert job is not None
    return job


def _insert_job(session: Session, id: str, now: datetime, submission: Submission) -> None:
    session.execute(
        insert(JobRow).values(
            id=id,
            created=now,
            served=now,
            owner=submission.owner,
            state=JobState.QUEUED,
            keep=submission.keep,
            idempotency_key=submission.idempotency_key,
            fingerprint="",
            total=0,
            done=0,
            failed=0,
        )
    )
    if submission.webhook:
        session.execute(
            insert(WebhookRow).values(
                job_id=id,
                url=submission.webhook.url,
                secret=submission.webhook.secret,
                state=WebhookState.PENDING,
                attempts=0,
            )
        )


def _check_number(session: Session, owner: str, most: int | None) -> None:
    # Otherwise two servers could each count without the other's new job.
    lock_name(session, owner)
    unfinished = _count(session, JobRow, JobRow.owner == owner, JobRow.finished.is_(None))
    if most is not None and unfinished > most:
        raise TooManyJobsError(
            f"The limit of {most} unfinished jobs is reached; send the next one when one of them has ended."
        )


def _insert_image(session: Session, id: str, number: int, image: SubmittedImage, failed: int) -> None:
    failure = image.failure
    session.execute(
        insert(JobImageRow).values(
            job_id=id,
            number=number,
            name=image.name,
            state=ImageState.FAILED if failure else ImageState.WAITING,
            attempts=0,
            settled=failed if failure else None,
            error_kind=failure.kind if failure else None,
            error=failure.detail if failure else None,
        )
    )
    if not failure:
        session.execute(insert(JobFileRow).values(job_id=id, number=number, data=image.data))


def _free(now: datetime) -> ColumnElement[bool]:
    """Return the condition for images that can be claimed: not taken, or their lease has expired."""
    return or_(
        JobImageRow.state == ImageState.WAITING,
        and_(
            JobImageRow.state == ImageState.RUNNING,
            _expired(now),
            JobImageRow.attempts < MOST_ATTEMPTS,
        ),
    )


def _expired(now: datetime) -> ColumnElement[bool]:
    """Return the condition for leases that have expired, or were given before the clock was set back."""
    return or_(JobImageRow.leased_until < now, JobImageRow.leased_until > now + LONGEST_LEASE)


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        JobImageRow.job_id == claim.job_id,
        JobImageRow.number == claim.number,
        JobImageRow.lease == claim.lease,
    )


def _lock(session: Session, *conditions: ColumnElement[bool]) -> bool:
    """Lock a job against other transactions until this one ends; return whether there is such a job.

    The lock is a write that changes nothing. SQLite has no other lock, and a transaction that has read cannot
    write after another one has changed the data.
    """
    return _touched(
        session.execute(
            update(JobRow).where(*conditions).values(served=JobRow.served),
            execution_options={"synchronize_session": False},
        )
    )


def _end_if_finished(session: Session, id: str, now: datetime) -> None:
    row = session.execute(select(JobRow.total, JobRow.done, JobRow.failed).where(JobRow.id == id)).one()
    if row.done + row.failed == row.total:
        _end(session, id, JobState.COMPLETED, now)


def _end(session: Session, id: str, state: JobState, now: datetime) -> None:
    session.execute(
        update(JobRow)
        .where(JobRow.id == id)
        .values(state=state, finished=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(update(WebhookRow).where(WebhookRow.job_id == id).values(due=now))


def _found(session: Session, *conditions: ColumnElement[bool]) -> Job | None:
    row = session.execute(
        select(JobRow, WebhookRow)
        .outerjoin(WebhookRow, WebhookRow.job_id == JobRow.id)
        .where(*conditions)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return _as_job(*row) if row else None


def _as_job(row: JobRow, webhook: WebhookRow | None) -> Job:
    return Job(
        id=row.id,
        created=row.created,
        finished=row.finished,
        state=JobState(row.state),
        keep=row.keep,
        total=row.total,
        done=row.done,
        failed=row.failed,
        fingerprint=row.fingerprint,
        webhook=Webhook(webhook.url, WebhookState(webhook.state), webhook.attempts, webhook.error)
        if webhook
        else None,
    )


def _count(session: Session, table: type, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


def _touched(result: Any) -> bool:
    return int(result.rowcount) > 0
