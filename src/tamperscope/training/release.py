"""From trained weights to a bundle: export, then threshold and calibration on photos that were held out.

    python -m tamperscope.training.release --weights runs/joint/network.pth --photos PHOTOS --out model

The folder's README.md, the model card, is kept and becomes part of the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
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
SMALLEST_REGION = 0.002
MARKED_AUTHENTIC = 0.2
"""Share of authentic held-out images that may keep a marked region at the chosen threshold."""

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
    reports = analyze(Detector.load(write(0.5, None)), examples)
    threshold = choose_threshold([report.heatmap for report in reports], examples)
    detector = Detector.load(write(threshold, None))
    measurements = [detector.measure(example.pixels) for example in track(examples, "Measuring")]
    model = calibration.fit(measurements, [example.type is not None for example in examples])
    reports = analyze(Detector.load(write(threshold, model)), examples)
    console = Console()
    console.print(f"threshold {threshold:.2f}", model)
    console.print(held_out_figures(reports, examples))


def analyze(detector: Detector, examples: Sequence[Forgery]) -> list[Report]:
    """Return a report on each example."""
    return [detector.analyze(example.pixels) for example in track(examples, "Analysing")]


def choose_threshold(heatmaps: Sequence[np.ndarray], examples: Sequence[Forgery]) -> float:
    """Return the threshold with the best mean F1 among those that leave most authentic images unmarked.

    When none does, the one that marks the fewest authentic images.
    """
    rated: list[tuple[bool, float, float]] = []
    for threshold in np.arange(0.05, 0.96, 0.05).round(2).tolist():
        masks = [outline(heatmap, threshold, SMALLEST_REGION).mask for heatmap in heatmaps]
        pairs = list(zip(masks, examples, strict=True))
        f1 = np.mean([metrics.overlap(mask, example.mask).f1 for mask, example in pairs if example.type])
        marked = float(np.mean([mask.any() for mask, example in pairs if not example.type]))
        tolerable = marked <= MARKED_AUTHENTIC
        rated.append((tolerable, float(f1) if tolerable else -marked, threshold))
    return max(rated)[2]


def held_out_figures(reports: Sequence[Report], examples: Sequence[Forgery]) -> HeldOutFigures:
    """Sum up the reports on held-out examples."""
    pairs = list(zip(reports, examples, strict=True))
    forged = [(report, example) for report, example in pairs if example.type is not None]
    overlaps = [metrics.overlap(report.mask, example.mask) for report, example in forged]
    return HeldOutFigures(
        forged=len(forged),
        authentic=len(pairs) - len(forged),
        f1=float(np.mean([overlap.f1 for overlap in overlaps])),
        iou=float(np.mean([overlap.iou for overlap in overlaps])),
        type_accuracy=float(np.mean([report.type is example.type for report, example in forged])),
        auc=metrics.roc_auc(
            [report.score for report in reports], [example.type is not None for example in examples]
        ),
        marked_authentic=float(np.mean([report.mask.any() for report, example in pairs if not example.type])),
    )


if __name__ == "__main__":
    main()
