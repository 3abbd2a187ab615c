"""From a trained joint network to a bundle that ships: export, 8-bit graph, threshold and calibration.

held_out = PhotoLibrary.open(photos, held_out=True)
release(Path("runs/joint/best.pth"), held_out, Path("model-mine"))
calibrate(Path("model-imported"), held_out)       # a bundle that exists, such as an imported pair
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
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
from tamperscope.network.quantisation import normalised_tile, quantise
from tamperscope.report import Report
from tamperscope.synthesis import Forgery, PhotoLibrary, forge

SIZES = (256, 320, 384, 512)
"""Sides of the held-out images in pixels: about what the web makes of a photo."""
SMALLEST_REGION = 0.005
KEPT_F1 = 0.98
"""Share of the best threshold's F1 that the chosen, higher threshold must keep."""
_QUANTISED_OVER = 100
_NAME = "tamperscope-joint"


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
    """Write the bundle `out` from the joint network that training left in `weights`, and calibrate it.

    The ranges of its 8-bit graph are measured on the same images as threshold and calibration. The folder's
    README.md, the model card, is kept and becomes part of the bundle.

    Raises `CheckpointError` when `weights` is not a joint network that training wrote.
    """
    found = read_weights(weights)
    if found.architecture is None or found.architecture.name != "joint":
        raise CheckpointError(f"{weights} is not a joint network; a pair is imported by import-checkpoint.")
    network = build(found.architecture)
    network.load_state_dict(found.tensors)
    out.mkdir(parents=True, exist_ok=True)
    entry = write_network(network.eval(), found.architecture, out, "joint")
    write_manifest(out, name=_NAME, version=version, networks=[entry], preprocessing=Preprocessing())
    return calibrate(out, held_out, quantised=True, count=count, seed=seed, console=console)


def calibrate(
    folder: Path,
    held_out: PhotoLibrary,
    *,
    version: str | None = None,
    quantised: bool = False,
    count: int = 400,
    seed: int = 2,
    console: Console | None = None,
) -> HeldOutFigures:
    """Choose threshold and calibration of the bundle in `folder`, and write its manifest anew.

    Both come from `count` images made of photos that training did not see, each analysed as the file it would
    be published as. `quantised` first adds 8-bit graphs, with ranges measured on a part of them.

    Raises `BundleError` when there is no bundle, or one that cannot analyse images.
    """
    console = console or Console(stderr=True)
    before = Bundle.load(folder)
    rng = np.random.default_rng(seed)
    examples = [
        forge(held_out, rng, int(rng.choice(SIZES)))
        for _ in track(range(count), "Forging", console=console, disable=not console.is_terminal)
    ]
    networks = before.networks
    if quantised:
        tiles = [normalised_tile(each.pixels, before.preprocessing) for each in examples[:_QUANTISED_OVER]]
        networks = tuple(quantise(folder, network, tiles) for network in networks)

    def write(threshold: float, model: calibration.Calibration | None) -> Bundle:
        return write_manifest(
            folder,
            name=before.name,
            version=version or before.version,
            networks=networks,
            preprocessing=before.preprocessing,
            threshold=threshold,
            smallest_region=SMALLEST_REGION,
            calibration=model,
        )

    detector = Detector.load(write(before.threshold, None))
    reports = [
        detector.analyze(published(example))
        for example in track(examples, "Analysing", console=console, disable=not console.is_terminal)
    ]
    threshold = choose_threshold(rate_thresholds([report.heatmap for report in reports], examples))
    measurements = [report.measurements for report in reports]
    model = calibration.fit(measurements, [example.type is not None for example in examples])
    write(threshold, model)
    return held_out_figures(reports, [model.score(row) for row in measurements], examples, threshold)


def published(example: Forgery) -> bytes:
    """Return an example as the file it was last saved as, or as PNG where nothing was lost in saving."""
    if example.data is not None:
        return example.data
    file = BytesIO()
    PIL.Image.fromarray(example.pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


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
    """Return the highest threshold that keeps `KEPT_F1` of the best mean F1.

    What it costs in F1 is little; what it spares is marks on authentic photos, which users feel first.
    """
    return max(level for level, f1 in rated.items() if f1 >= KEPT_F1 * max(rated.values()))


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
