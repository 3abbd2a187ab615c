#!/usr/bin/env python
"""Measure how often each measurement is notable, how often it is wrong, and how good its map is.

    benchmarks/evidence.py --data DIR

DIR is in the plain layout (images/, masks/, authentic/), or a folder of such sets. Rates and AUC are over the
images that a measurement applies to. Map F1 is the F1 of the map cut at one half. Map AUC is the area under
the ROC curve of the map's pixels. Both are means over the forged images that a measurement with a map applies
to.
"""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # times are for one core

import click
import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tamperscope.datasets import Sample, read_dataset
from tamperscope.evaluation.metrics import overlap, roc_auc
from tamperscope.evidence import MEASUREMENTS
from tamperscope.images import read_image


@dataclass(frozen=True)
class Row:
    forged: bool
    strength: float | None
    notable: bool
    f1: float | None
    auc: float | None
    seconds: float
    megapixels: float


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(MEASUREMENTS)),
    help="Only this measurement. Can be repeated.",
)
def main(data: Path, only: tuple[str, ...]) -> None:
    cv2.setNumThreads(1)
    samples = read_dataset(data).samples
    stderr = Console(stderr=True)
    rows: dict[str, list[Row]] = defaultdict(list)
    for sample in track(samples, console=stderr, disable=not stderr.is_terminal):
        for name, row in measure(sample, only or tuple(MEASUREMENTS)):
            rows[name].append(row)
    Console(width=130).print(table(rows))


def measure(sample: Sample, names: tuple[str, ...]) -> Iterable[tuple[str, Row]]:
    image = read_image(sample.image)
    _ = image.jpeg  # read once, so that no measurement pays for it
    truth = sample.ground_truth(image.height, image.width)
    for name in names:
        started = time.process_time()
        evidence = MEASUREMENTS[name](image)
        seconds = time.process_time() - started
        located = sample.forged and evidence.applicable and evidence.map is not None
        yield (
            name,
            Row(
                forged=sample.forged,
                strength=evidence.strength,
                notable=evidence.notable,
                f1=overlap(evidence.map > 0.5, truth).f1 if located else None,
                auc=roc_auc(evidence.map.ravel(), truth.ravel()) if located else None,
                seconds=seconds,
                megapixels=image.width * image.height / 1e6,
            ),
        )


def table(rows: dict[str, list[Row]]) -> Table:
    result = Table("measurement")
    for title in ("applies", "notable authentic", "notable forged", "AUC", "map F1", "map AUC", "s/MP"):
        result.add_column(title, justify="right")
    for name, measured in rows.items():
        applicable = [row for row in measured if row.strength is not None]
        metrics = (
            len(applicable) / len(measured),
            mean(row.notable for row in applicable if not row.forged),
            mean(row.notable for row in applicable if row.forged),
            roc_auc([row.strength for row in applicable], [row.forged for row in applicable]),
            mean(row.f1 for row in applicable if row.f1 is not None),
            mean(row.auc for row in applicable if row.auc is not None),
            sum(row.seconds for row in measured) / sum(row.megapixels for row in measured),
        )
        result.add_row(name, *("–" if math.isnan(metric) else f"{metric:.3f}" for metric in metrics))
    return result


def mean(values: Iterable[float]) -> float:
    found = [float(value) for value in values]
    return float(np.mean(found)) if found else math.nan


if __name__ == "__main__":
    main()
