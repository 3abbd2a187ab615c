"""A report without networks and evidence without forensics, for tests of how they are presented."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import numpy as np

import samples
from fakes import IDENTITY, FakeDetector
from tamperscope.report import Evidence, Explanation, OperatingPoints, Report, Verdict

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
POINTS = OperatingPoints(0.25, 0.8, 0.02, 0.1, 89, 151)
PICTURE = samples.photo(160, 120)


def report(**changes: Any) -> Report:
    """Return the fake detector's report on `PICTURE`, calibrated, with one piece of evidence of each kind."""
    found = FakeDetector().analyze(PICTURE)
    defaults: dict[str, Any] = {
        "operating_points": POINTS,
        "bundle": dataclasses.replace(IDENTITY, name="fake-bundle", version="7.1"),
        "evidence": {
            item.name: item
            for item in (
                evidence("quiet", 0.1, finding="Nothing here."),
                evidence("jpeg_trace", 0.9, finding="A trace.", map=found.heatmap),
                evidence("absent", None, finding="Only JPEG files have it."),
            )
        },
    }
    return dataclasses.replace(found, **(defaults | changes))


def evidence(name: str, strength: float | None, **changes: Any) -> Evidence:
    explanation = Explanation(f"See {name}.", f"Can mean {name}.", f"Cannot tell {name}.")
    return Evidence(name, explanation, strength=strength, **({"finding": "Found."} | changes))


def authentic(**changes: Any) -> Report:
    nothing = np.zeros(PICTURE.shape[:2], bool)
    return report(
        verdict=Verdict.AUTHENTIC,
        score=0.1,
        regions=(),
        mask=nothing,
        heatmap=nothing.astype(np.float32),
        **changes,
    )
