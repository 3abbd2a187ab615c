"""Time that a test decides about."""

from __future__ import annotations

from datetime import UTC, datetime


class Clock:
    """Says the same time until it is told another."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time
