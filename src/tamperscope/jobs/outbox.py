"""The webhook messages that are due, and the outcome of each attempt to deliver one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select, update

from tamperscope.jobs.model import WebhookDelivery, WebhookState, WebhookTarget
from tamperscope.jobs.queue import get_job
from tamperscope.store.database import Database
from tamperscope.store.tables import JobRow, WebhookRow

DELAYS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 5 * 60, 30 * 60, 2 * 3600, 6 * 3600))
"""Wait after each failed delivery; when the delivery after the last wait fails, the message is given up."""


_MOST_LISTED = 1000


@dataclass(frozen=True)
class DueMessage:
    """A message that is due, not yet taken."""

    job_id: str
    url: str
    owner: str


def _now() -> datetime:
    return datetime.now(UTC)


class Outbox:
    """The webhook messages of one database, for any number of threads, processes and machines.

    Every method raises `StoreError` when the database cannot be used.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._now = now

    def due(self) -> Sequence[DueMessage]:
        """Return messages that are due, those of all owners in turn."""
        waiting = (
            select(
                WebhookRow.job_id,
                WebhookRow.url,
                JobRow.owner,
                WebhookRow.due,
                func.row_number().over(partition_by=JobRow.owner, order_by=WebhookRow.due).label("turn"),
            )
            .join(JobRow, JobRow.id == WebhookRow.job_id)
            .where(self._is_due())
            .subquery()
        )
        query = select(waiting).order_by(waiting.c.turn, waiting.c.due).limit(_MOST_LISTED)
        with self._database.transaction() as session:
            return [DueMessage(row.job_id, row.url, row.owner) for row in session.execute(query)]

    def take(self, message: DueMessage) -> WebhookDelivery | None:
        """Return a message to deliver, and schedule its next attempt; None if another process has taken it.

        Because both happen in one transaction, no message is lost if the process dies while delivering.
        """
        now = self._now()
        with self._database.transaction() as session:
            row = session.execute(
                update(WebhookRow)
                .where(WebhookRow.job_id == message.job_id, self._is_due())
                .values(attempts=WebhookRow.attempts + 1, due=_next_due(now))
                .returning(WebhookRow.job_id, WebhookRow.url, WebhookRow.secret, WebhookRow.attempts)
                .execution_options(synchronize_session=False)
            ).one_or_none()
            if row is None:
                return None
            return WebhookDelivery(
                get_job(session, JobRow.id == row.job_id), WebhookTarget(row.url, row.secret), row.attempts
            )

    def postpone(self, message: DueMessage, delay: timedelta) -> None:
        """Make a message due later, without counting an attempt."""
        with self._database.transaction() as session:
            session.execute(
                update(WebhookRow)
                .where(WebhookRow.job_id == message.job_id, self._is_due())
                .values(due=self._now() + delay)
                .execution_options(synchronize_session=False)
            )

    def delivered(self, delivery: WebhookDelivery) -> None:
        """Record that a message arrived."""
        self._update(delivery, state=WebhookState.DELIVERED, secret="", due=None, error=None)

    def not_delivered(self, delivery: WebhookDelivery, reason: str) -> None:
        """Record why a message did not arrive; after the last attempt it is given up."""
        if delivery.attempt > len(DELAYS):
            self._update(delivery, state=WebhookState.FAILED, secret="", due=None, error=reason)
        else:
            self._update(delivery, error=reason)

    def _is_due(self) -> ColumnElement[bool]:
        return and_(WebhookRow.state == WebhookState.PENDING, WebhookRow.due <= self._now())

    def _update(self, delivery: WebhookDelivery, **values: Any) -> None:
        with self._database.transaction() as session:
            session.execute(update(WebhookRow).where(WebhookRow.job_id == delivery.job.id).values(**values))


def _next_due(now: datetime) -> ColumnElement[datetime]:
    # There is no attempt after the last one; the time matters only if the process dies during that attempt.
    times = {number: now + delay for number, delay in enumerate(DELAYS)}
    return case(times, value=WebhookRow.attempts, else_=now + DELAYS[-1])
