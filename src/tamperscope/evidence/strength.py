"""How a measurement's own statistic becomes the strength of its evidence."""

from __future__ import annotations

from tamperscope.report import NOTABLE


def strength(statistic: float, notable_at: float) -> float:
    """Return a statistic, 0 or more and unbounded, as a strength, 0 to 1: `NOTABLE` at `notable_at`.

    Each measurement's `notable_at` is chosen so that at most three of a hundred authentic photos reach it:
    `benchmarks/evidence.py` prints how many do.
    """
    return statistic / (statistic + notable_at * (1 - NOTABLE) / NOTABLE)
