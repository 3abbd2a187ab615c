"""A clock that a test controls."""

from __future__ import annotations

from datetime import UTC, datetime


class Clock:
    """Returns the same time until the test sets another."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time
