"""Conversion of a measurement's own statistic to the strength of its evidence."""

from __future__ import annotations

from tamperscope.report import NOTABLE


def strength(statistic: float, notable_at: float) -> float:
    """Return the strength, 0 to 1, of an unbounded statistic of 0 or more; it is `NOTABLE` at `notable_at`.

    Each measurement chooses its `notable_at` so that at most three in a hundred authentic photos reach it.
    `benchmarks/evidence.py` prints how many do.
    """
    return statistic / (statistic + notable_at * (1 - NOTABLE) / NOTABLE)
