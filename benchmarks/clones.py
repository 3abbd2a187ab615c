"""Measure how well copy-move forgeries are found, how often authentic photos are flagged, and the time taken.

    python benchmarks/clones.py --data FOLDER [--set NAME ...]

FOLDER holds sets in the plain layout (`images/`, `masks/`, `authentic/`). A ground-truth mask that marks only
the pasted region is compared with four predictions. A fifth comparison adds the sources to the ground truth:

    marked    the copies where it is certain enough which they are, both regions elsewhere, as in a report
    copy      the regions guessed to be the copies, however uncertain
    both      sources and copies together; at best 2/3 where source and copy are equally large
    better    of each pair, the region that fits the mask better: shows what guessing costs
    pairs     sources and copies, compared with the mask and its sources: each region of the mask moved by the
              transform of the pair that covers most of it. A region that no pair covers has no source

After the sets, the authentic images are listed by their size, and by kind where their names are
`<kind>__...`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.datasets import Sample, read_dataset
from tamperscope.evaluation import metrics
from tamperscope.evidence import clones, double_jpeg
from tamperscope.images import read_image


@dataclass(frozen=True)
class Row:
    set: str
    image: str
    forged: bool
    flagged: bool
    cpu: float
    wall: float
    megapixels: float
    marked: float = np.nan
    copy: float = np.nan
    both: float = np.nan
    better: float = np.nan
    pairs: float = np.nan


SIZES = (0, 0.15, 0.5, 2, 1000)
"""Bands of size in megapixels."""
PREDICTIONS = ("marked", "copy", "both", "better", "pairs")


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--set", "names", multiple=True, help="Only these sets.")
@click.option(
    "--match", default="", help="Only forged images whose names contain this, such as Sp_S in CASIA."
)
@click.option("--each", is_flag=True, help="Print every image that is forged or flagged.")
def main(data: Path, names: tuple[str, ...], match: str, each: bool) -> None:
    samples = [
        sample
        for sample in read_dataset(data).samples
        if (not names or sample.set in names) and (not sample.forged or match in sample.image.name)
    ]
    rows = []
    for sample in samples:
        row = measure(sample)
        rows.append(row)
        if each and (row.forged or row.flagged):
            found = ", ".join(f"{kind} {getattr(row, kind):.2f}" for kind in PREDICTIONS)
            print(f"  {row.set}/{row.image}: {'flagged' if row.flagged else 'missed'}, {found}", flush=True)
    kinds = " ".join(f"{kind:>6}" for kind in PREDICTIONS)
    print(f"{'set':20} {'forged':>6} {'found':>6} {kinds} {'authentic':>9} {'flagged':>7}")
    for name in dict.fromkeys(sample.set for sample in samples):
        print_line(name, [row for row in rows if row.set == name])
    print_line("all", rows)
    authentic = [row for row in rows if not row.forged]
    for (low, high), of_size in by_size(authentic):
        print_line(f"{low:g} to {high:g} MP", of_size)
    for kind, of_kind in by_kind(authentic):
        print_line(kind, of_kind)
    for clock in ("cpu", "wall"):
        seconds = [getattr(row, clock) / row.megapixels for row in rows]
        print(
            f"{clock} seconds per megapixel: median {np.median(seconds):.2f}, "
            f"95 % below {np.quantile(seconds, 0.95):.2f}"
        )


def measure(sample: Sample) -> Row:
    image = read_image(sample.image)
    cpu, wall = time.process_time(), time.perf_counter()
    evidence = clones.measure(image)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    compressed_once = double_jpeg.measure(image).map if evidence.clones else None
    if compressed_once is not None:
        evidence = clones.weigh(evidence, compressed_once)
    facts = (sample.set, sample.image.name, sample.forged, evidence.notable, cpu, wall)
    megapixels = image.width * image.height / 1e6
    if not sample.forged:
        return Row(*facts, megapixels)
    truth = sample.ground_truth(image.height, image.width)
    marked, copy, both, better = (np.zeros_like(truth) for _ in range(4))
    for clone in evidence.clones:
        pair = (clone.source_mask, clone.target_mask)
        marked |= clone.marked
        copy |= clone.target_mask
        both |= pair[0] | pair[1]
        better |= max(pair, key=lambda region: metrics.overlap(region, truth).f1)
    compared = [(mask, truth) for mask in (marked, copy, both, better)]
    compared.append((both, truth | sources(truth, evidence.clones)))
    return Row(*facts, megapixels, *(metrics.overlap(*masks).f1 for masks in compared))


def sources(truth: NDArray[np.bool_], found: tuple[clones.Clone, ...]) -> NDArray[np.bool_]:
    """Return where the regions of a mask were copied from, according to the pairs: (height, width) bool."""
    pasted = truth.astype(np.uint8)
    copied = np.zeros_like(pasted)
    count, labels = cv2.connectedComponents(pasted)
    moves = [(clone.target_mask, cv2.invertAffineTransform(clone.transform)) for clone in found]
    moves += [(clone.source_mask, clone.transform) for clone in found]
    for label in range(1, count):
        part = labels == label
        covered = [(mask & part).sum() for mask, _ in moves]
        if any(covered):
            move = moves[int(np.argmax(covered))][1]
            copied |= cv2.warpAffine(part.astype(np.uint8), move, truth.shape[::-1], flags=cv2.INTER_NEAREST)
    return copied > 0


def by_size(rows: list[Row]) -> Iterator[tuple[tuple[float, float], list[Row]]]:
    """Yield the bands of size in megapixels that have images, and the images."""
    for low, high in pairwise(SIZES):
        if within := [row for row in rows if low <= row.megapixels < high]:
            yield (low, high), within


def by_kind(rows: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Yield the kinds of images whose files are named `<kind>__...`, and the images."""
    kinds = {row.image.split("__")[0] for row in rows if "__" in row.image}
    for kind in sorted(kinds):
        yield kind, [row for row in rows if row.image.startswith(f"{kind}__")]


def print_line(name: str, rows: list[Row]) -> None:
    forged = [row for row in rows if row.forged]
    authentic = [row for row in rows if not row.forged]
    f1 = " ".join(f"{mean([getattr(row, kind) for row in forged]):6.2f}" for kind in PREDICTIONS)
    print(
        f"{name:20.20} {len(forged):6} {mean([row.flagged for row in forged]):6.2f} {f1} {len(authentic):9} "
        f"{mean([row.flagged for row in authentic]):7.3f}"
    )


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


if __name__ == "__main__":
    main()
