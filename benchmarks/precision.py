#!/usr/bin/env python
"""Measure what each arithmetic costs and saves: processor time of a tile, and F1 of the networks alone.

    benchmarks/precision.py --data DIR

DIR is in the plain layout (images/, masks/), or a folder of such sets. Sixty of its forged images, evenly
spread, are measured. F1 is the mean over images, at the bundle's threshold and at each image's best
threshold. Times are processor seconds, the least of ten runs. Other processes hardly affect them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

import click
import numpy as np
from rich.console import Console
from rich.progress import track

from tamperscope.bundle import Bundle
from tamperscope.datasets import Sample, read_dataset
from tamperscope.detector import Detector
from tamperscope.evaluation.metrics import overlap, precision_recall
from tamperscope.images import read_image
from tamperscope.inference.runtime import Precision, Runtime

ROOT = Path(__file__).parents[1]
SIDE = 512
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--data", type=FOLDER, required=True)
@click.option("--bundle", type=FOLDER, default=ROOT / "model")
@click.option(
    "--images",
    default=60,
    show_default=True,
    type=click.IntRange(1),
    help="Number of forged images to measure.",
)
def main(data: Path, bundle: Path, images: int) -> None:
    loaded = Bundle.load(bundle)
    forged = [sample for sample in read_dataset(data).samples if sample.forged]
    samples = (
        [forged[place * len(forged) // images] for place in range(images)] if images < len(forged) else forged
    )
    click.echo(f"Bundle {loaded.name} {loaded.version}, {len(samples)} forged images\n")
    click.echo("| arithmetic | processor s, tile of 512 x 512 | F1 | best F1 |\n|---|---|---|---|")
    for precision in get_args(Precision):
        shipped, best = np.mean(f1s(loaded, precision, samples), axis=0)
        click.echo(f"| {precision} | {tile_seconds(loaded, precision):.3f} | {shipped:.3f} | {best:.3f} |")


def tile_seconds(bundle: Bundle, precision: Precision) -> float:
    runtime = Runtime(bundle, precision=precision)
    tile = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    seconds = []
    for _ in range(10):
        begun = time.process_time()
        runtime.run(tile)
        seconds.append(time.process_time() - begun)
    return min(seconds)


def f1s(bundle: Bundle, precision: Precision, samples: list[Sample]) -> list[tuple[float, float]]:
    detector = Detector(bundle, precision=precision, use_evidence=False)
    stderr = Console(stderr=True)
    found = []
    for sample in track(samples, precision, console=stderr, disable=not stderr.is_terminal):
        image = read_image(sample.image)
        report = detector.analyze(image)
        truth = sample.ground_truth(image.height, image.width)
        found.append((overlap(report.mask, truth).f1, precision_recall(report.heatmap, truth).best_f1))
    return found


if __name__ == "__main__":
    main()
