"""The webhook messages that are due, and the outcome of each attempt to deliver one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, update

from tamperscope.jobs.model import WebhookDelivery, WebhookState, WebhookTarget
from tamperscope.jobs.queue import get_job
from tamperscope.store.database import Database
from tamperscope.store.tables import JobRow, WebhookRow

DELAYS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 5 * 60, 30 * 60, 2 * 3600, 6 * 3600))
"""Wait after each failed delivery; when the delivery after the last wait fails, the message is given up."""
LONGEST_DELIVERY = timedelta(seconds=60)
"""A delivery ends sooner. If it has no outcome by then, its process has died, and another one tries."""

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
        """Return a message to deliver; None if another process has taken it.

        It is due again after `LONGEST_DELIVERY`, so it is not lost if the process dies while delivering.
        """
        with self._database.transaction() as session:
            row = session.execute(
                update(WebhookRow)
                .where(WebhookRow.job_id == message.job_id, self._is_due())
                .values(attempts=WebhookRow.attempts + 1, due=self._now() + LONGEST_DELIVERY)
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
        self._end(delivery, state=WebhookState.DELIVERED, secret="", due=None, error=None)

    def not_delivered(self, delivery: WebhookDelivery, reason: str) -> None:
        """Record why a message did not arrive, and schedule the next attempt; after the last it is given up.

        Nothing changes if a later attempt has begun or the message has arrived meanwhile.
        """
        latest = WebhookRow.attempts == delivery.attempt
        if delivery.attempt > len(DELAYS):
            self._end(delivery, latest, state=WebhookState.FAILED, secret="", due=None, error=reason)
        else:
            self._end(delivery, latest, due=self._now() + DELAYS[delivery.attempt - 1], error=reason)

    def _is_due(self) -> ColumnElement[bool]:
        return and_(WebhookRow.state == WebhookState.PENDING, WebhookRow.due <= self._now())

    def _end(self, delivery: WebhookDelivery, *conditions: ColumnElement[bool], **values: Any) -> None:
        """Record the outcome of an attempt, unless an earlier outcome was final."""
        pending = WebhookRow.state == WebhookState.PENDING
        with self._database.transaction() as session:
            session.execute(
                update(WebhookRow)
                .where(WebhookRow.job_id == delivery.job.id, pending, *conditions)
                .values(**values)
                .execution_options(synchronize_session=False)
            )
