from __future__ import annotations

import pytest

from clocks import Clock
from fakes import fresh_store
from tamperscope.store import JobStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(clock: Clock) -> JobStore:
    return JobStore(fresh_store().database, clock)
