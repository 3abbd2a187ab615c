"""From trained weights to a bundle: export, then threshold and calibration on photos that were held out.

    python -m tamperscope.training.release --weights runs/joint/network.pth --photos PHOTOS --out model

The folder's README.md, the model card, is kept and becomes part of the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from tamperscope import calibration
from tamperscope.bundle import Architecture, Bundle, Preprocessing, write_manifest
from tamperscope.detector import Detector
from tamperscope.evaluation import metrics
from tamperscope.inference.regions import outline
from tamperscope.network.architectures import build
from tamperscope.network.export import write_network
from tamperscope.report import Report
from tamperscope.synthesis import Forgery, PhotoLibrary, forge

ARCHITECTURE = Architecture("joint", encoder="resnet50", classes=1)
SIZES = (256, 320, 384)
"""Sides of the held-out images in pixels: about what the web makes of a photo."""
SMALLEST_REGION = 0.005
KEPT_F1 = 0.99
"""Share of the best threshold's F1 that the chosen, lower threshold must keep."""

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class HeldOutFigures:
    """How a bundle does on forgeries made from held-out photos, at its own threshold."""

    forged: int
    authentic: int
    f1: float
    iou: float
    type_accuracy: float
    auc: float
    marked_authentic: float


@click.command()
@click.option("--weights", type=_FILE, required=True, help="network.pth of `python -m tamperscope.training`.")
@click.option(
    "--photos", type=_FOLDER, required=True, help="The photos of the training; its held-out part is used."
)
@click.option("--object-masks", type=_FOLDER, help="Folder with <collection>/<photo>*.png, white = object.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Bundle folder.")
@click.option("--version", default="0.1.0", show_default=True, help="Version of the bundle.")
@click.option("--count", default=400, show_default=True, help="Held-out images to make.")
@click.option("--seed", default=2, show_default=True)
def main(
    weights: Path, photos: Path, object_masks: Path | None, out: Path, version: str, count: int, seed: int
) -> None:
    """Write the bundle OUT from trained weights."""
    network = build(ARCHITECTURE)
    network.load_state_dict(torch.load(weights, weights_only=True))
    out.mkdir(parents=True, exist_ok=True)
    entry = write_network(network.eval(), ARCHITECTURE, out, "joint")

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

    library = PhotoLibrary.open(photos, object_masks, held_out=True)
    rng = np.random.default_rng(seed)
    examples = [forge(library, rng, int(rng.choice(SIZES))) for _ in track(range(count), "Forging")]
    detector = Detector.load(write(0.5, None))
    reports = [detector.analyze(example.pixels) for example in track(examples, "Analysing")]
    rated = rate_thresholds([report.heatmap for report in reports], examples)
    threshold = choose_threshold(rated)
    detector = Detector.load(write(threshold, None))
    measurements = [detector.measure(example.pixels) for example in track(examples, "Measuring")]
    model = calibration.fit(measurements, [example.type is not None for example in examples])
    write(threshold, model)
    console = Console()
    console.print({level: round(f1, 3) for level, f1 in rated.items()})
    console.print(f"threshold {threshold}", model)
    scores = [model.score(row) for row in measurements]
    console.print(held_out_figures(reports, scores, examples, threshold))


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
        f1=float(np.mean([overlap.f1 for overlap in overlaps])),
        iou=float(np.mean([overlap.iou for overlap in overlaps])),
        type_accuracy=float(np.mean(right)),
        auc=metrics.roc_auc(scores, forged),
        marked_authentic=float(
            np.mean([mask.any() for mask, is_forged in zip(masks, forged, strict=True) if not is_forged])
        ),
    )


if __name__ == "__main__":
    main()
