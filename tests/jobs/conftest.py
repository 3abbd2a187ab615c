from __future__ import annotations

import pytest

from clocks import Clock
from fakes import fresh_store
from tamperscope.jobs.outbox import Outbox
from tamperscope.jobs.queue import JobQueue
from tamperscope.store import Database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database() -> Database:
    return fresh_store().database


@pytest.fixture
def jobs(database: Database, clock: Clock) -> JobQueue:
    return JobQueue(database, clock)


@pytest.fixture
def outbox(database: Database, clock: Clock) -> Outbox:
    return Outbox(database, clock)
