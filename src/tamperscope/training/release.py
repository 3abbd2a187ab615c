"""From a trained joint network to a bundle: export, threshold and calibration on held-out photos.

release(Path("runs/joint/best.pth"), PhotoLibrary.open(photos, held_out=True), Path("model-mine"))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from tamperscope import calibration
from tamperscope.bundle import Bundle, Preprocessing, write_manifest
from tamperscope.detector import Detector
from tamperscope.errors import CheckpointError
from tamperscope.evaluation import metrics
from tamperscope.inference.regions import outline
from tamperscope.network.architectures import build
from tamperscope.network.checkpoints import read_weights
from tamperscope.network.export import write_network
from tamperscope.report import Report
from tamperscope.synthesis import Forgery, PhotoLibrary, forge

SIZES = (256, 320, 384)
"""Sides of the held-out images in pixels: about what the web makes of a photo."""
SMALLEST_REGION = 0.005
KEPT_F1 = 0.99
"""Share of the best threshold's F1 that the chosen, lower threshold must keep."""


@dataclass(frozen=True)
class HeldOutFigures:
    """How a bundle does on forgeries made from held-out photos, at its own threshold."""

    forged: int
    authentic: int
    threshold: float
    f1: float
    iou: float
    type_accuracy: float
    auc: float
    marked_authentic: float


def release(
    weights: Path,
    held_out: PhotoLibrary,
    out: Path,
    *,
    version: str = "1.0.0",
    count: int = 400,
    seed: int = 2,
    console: Console | None = None,
) -> HeldOutFigures:
    """Write the bundle `out` from the joint network that training left in `weights`.

    Threshold and calibration come from `count` images made of photos that training did not see. The folder's
    README.md, the model card, is kept and becomes part of the bundle.

    Raises `CheckpointError` when `weights` is not a joint network that training wrote.
    """
    console = console or Console(stderr=True)
    found = read_weights(weights)
    if found.architecture is None or found.architecture.name != "joint":
        raise CheckpointError(f"{weights} is not a joint network; a pair is imported by import-checkpoint.")
    network = build(found.architecture)
    network.load_state_dict(found.tensors)
    out.mkdir(parents=True, exist_ok=True)
    entry = write_network(network.eval(), found.architecture, out, "joint")

    def write(threshold: float, model: calibration.Calibration | None) -> Bundle:
        return write_manifest(
            out,
            name="tamperscope-joint",
            version=version,
            networks=[entry],
            preprocessing=Preprocessing(),
            threshold=threshold,
            smallest_region=SMALLEST_REGION,
            calibration=model,
        )

    def each(items: Sequence[Forgery] | range, doing: str) -> Iterable[Any]:
        return track(items, doing, console=console, disable=not console.is_terminal)

    rng = np.random.default_rng(seed)
    examples = [forge(held_out, rng, int(rng.choice(SIZES))) for _ in each(range(count), "Forging")]
    detector = Detector.load(write(0.5, None))
    reports = [detector.analyze(example.pixels) for example in each(examples, "Analysing")]
    threshold = choose_threshold(rate_thresholds([report.heatmap for report in reports], examples))
    detector = Detector.load(write(threshold, None))
    measurements = [detector.measure(example.pixels) for example in each(examples, "Measuring")]
    model = calibration.fit(measurements, [example.type is not None for example in examples])
    write(threshold, model)
    return held_out_figures(reports, [model.score(row) for row in measurements], examples, threshold)


def rate_thresholds(
    heatmaps: Sequence[NDArray[np.float32]], examples: Sequence[Forgery]
) -> dict[float, float]:
    """Return the mean F1 on the forged examples at each of 19 thresholds."""
    forged = [(heatmap, example) for heatmap, example in zip(heatmaps, examples, strict=True) if example.type]
    return {
        threshold: float(
            np.mean(
                [
                    metrics.overlap(outline(heatmap, threshold, SMALLEST_REGION).mask, example.mask).f1
                    for heatmap, example in forged
                ]
            )
        )
        for threshold in np.arange(0.05, 0.96, 0.05).round(2).tolist()
    }


def choose_threshold(rated: Mapping[float, float]) -> float:
    """Return the lowest threshold that keeps `KEPT_F1` of the best mean F1.

    Real forgeries leave fainter traces than synthesised ones: what costs little here pays there.
    """
    return min(level for level, f1 in rated.items() if f1 >= KEPT_F1 * max(rated.values()))


def held_out_figures(
    reports: Sequence[Report], scores: Sequence[float], examples: Sequence[Forgery], threshold: float
) -> HeldOutFigures:
    """Sum up what was found in held-out examples, with masks cut at `threshold`."""
    forged = np.array([example.type is not None for example in examples])
    masks = [outline(report.heatmap, threshold, SMALLEST_REGION).mask for report in reports]
    overlaps = [
        metrics.overlap(mask, example.mask)
        for mask, example in zip(masks, examples, strict=True)
        if example.type
    ]
    right = [
        report.type is example.type for report, example in zip(reports, examples, strict=True) if example.type
    ]
    return HeldOutFigures(
        forged=int(forged.sum()),
        authentic=int((~forged).sum()),
        threshold=threshold,
        f1=float(np.mean([overlap.f1 for overlap in overlaps])),
        iou=float(np.mean([overlap.iou for overlap in overlaps])),
        type_accuracy=float(np.mean(right)),
        auc=metrics.roc_auc(scores, forged),
        marked_authentic=float(
            np.mean([mask.any() for mask, is_forged in zip(masks, forged, strict=True) if not is_forged])
        ),
    )
