"""Run a detector over datasets and sum up what it finds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tamperscope.datasets import Sample
from tamperscope.detector import Detector
from tamperscope.evaluation import metrics
from tamperscope.report import Verdict


@dataclass(frozen=True)
class Row:
    """What was measured on one image; the pixel figures are None on authentic images."""

    set: str
    image: str
    forged: bool
    score: float
    verdict: Verdict
    area_share: float
    """Share of the pixels that the mask marks."""
    f1: float | None
    iou: float | None
    best_f1: float | None
    everything_f1: float | None
    """F1 of a mask that marks every pixel: what a detector has to beat."""


@dataclass(frozen=True)
class Summary:
    """One line of the table. Rates are shares, 0 to 1; NaN where a set has no image of the kind."""

    set: str
    forged: int
    authentic: int
    f1: float
    """Mean over forged images of the F1 at the bundle's threshold, whatever the verdict says."""
    iou: float
    best_f1: float
    """Mean over forged images of the F1 at each image's own best threshold."""
    everything_f1: float
    """Mean F1 of marking every pixel."""
    auc: float
    """Image level, by score."""
    detected: float
    """Share of forged images with the verdict `manipulated`."""
    false_alarms: float
    """Share of authentic images with the verdict `manipulated`."""
    marked_authentic: float
    """Share of authentic images with any pixel left in the mask."""
    calibration_error: float
    """Expected calibration error of the score."""


def evaluate(detector: Detector, samples: Iterable[Sample]) -> Iterator[Row]:
    """Analyse each sample and compare the report with its ground truth."""
    for sample in samples:
        report = detector.analyze(sample.image)
        pixel_figures: dict[str, float | None] = dict.fromkeys(("f1", "iou", "best_f1", "everything_f1"))
        truth = sample.ground_truth(*report.mask.shape)
        if sample.forged:
            pixel_figures = {
                **metrics.overlap(report.mask, truth)._asdict(),
                "best_f1": metrics.best_f1(report.heatmap, truth),
                "everything_f1": metrics.overlap(np.ones_like(truth), truth).f1,
            }
        yield Row(
            set=sample.set,
            image=sample.image.name,
            forged=sample.forged,
            score=report.score,
            verdict=report.verdict,
            area_share=float(report.mask.mean()),
            **pixel_figures,
        )


def summarise(rows: Iterable[Row]) -> list[Summary]:
    """Sum up each set, and everything together in a last line when there are several sets."""
    rows = list(rows)
    names = list(dict.fromkeys(row.set for row in rows))
    lines = [_summary(name, [row for row in rows if row.set == name]) for name in names]
    return lines if len(lines) == 1 else [*lines, _summary("all", rows)]


def write_results(rows: list[Row], bundle: dict[str, str], path: Path) -> None:
    """Write the summaries and every row as JSON; NaN becomes null."""
    document = {
        "bundle": bundle,
        "summary": [_without_nan(dataclasses.asdict(line)) for line in summarise(rows)],
        "images": [dataclasses.asdict(row) for row in rows],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def _summary(name: str, rows: list[Row]) -> Summary:
    forged = [row for row in rows if row.forged]
    authentic = [row for row in rows if not row.forged]
    scores, labels = [row.score for row in rows], [row.forged for row in rows]
    return Summary(
        set=name,
        forged=len(forged),
        authentic=len(authentic),
        f1=_mean(row.f1 for row in forged),
        iou=_mean(row.iou for row in forged),
        best_f1=_mean(row.best_f1 for row in forged),
        everything_f1=_mean(row.everything_f1 for row in forged),
        auc=metrics.roc_auc(scores, labels),
        detected=_mean(row.verdict is Verdict.MANIPULATED for row in forged),
        false_alarms=_mean(row.verdict is Verdict.MANIPULATED for row in authentic),
        marked_authentic=_mean(row.area_share > 0 for row in authentic),
        calibration_error=metrics.expected_calibration_error(scores, labels),
    )


def _mean(values: Iterable[Any]) -> float:
    found = [float(value) for value in values]
    return float(np.mean(found)) if found else float("nan")


def _without_nan(line: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value != value else value for key, value in line.items()}
