"""Fit the weights of `measurement` and `direction` in `evidence.clones` to synthesised copy-moves.

    python benchmarks/fit_clones.py --photos DIR [--object-masks DIR] [--count 460]

Prints the weights of two logistic regressions: which pairs of regions are copies (with the intercept before
it is lowered for the false-alarm rate), and which of the two regions is the copy. The images are made from
photos, have 384 or 512 pixels on a side, and three in ten are authentic. Every fifth is held out to test the
fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from tamperscope.evidence.clones import measurement as clones
from tamperscope.evidence.clones.direction import Traces, compare
from tamperscope.evidence.clones.verification import Mask, verify
from tamperscope.report import ManipulationType
from tamperscope.synthesis import Forgery, Mix, PhotoLibrary, forge

MIX = Mix(authentic=0.3, types={ManipulationType.COPYMOVE: 1.0})
SIZES = (384, 512)
HOLD_OUT = 5
COVERED = 0.6
"""Share of a region that must have been copied, or be a copy, for it to count as found."""


@dataclass(frozen=True)
class Pair:
    """Two regions of an image that repeat one another."""

    image: int
    copied: bool
    terms: tuple[float, ...]
    """The terms of the strength."""
    traces: Traces
    pasted: int
    """1 if the target is the copy, -1 if the source is, 0 if neither or both are."""


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--object-masks", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", default=460, show_default=True, help="Images to make.")
@click.option("--seed", default=1, show_default=True)
def main(photos: Path, object_masks: Path | None, count: int, seed: int) -> None:
    cv2.setNumThreads(1)
    library = PhotoLibrary.open(photos, object_masks)
    stderr = Console(stderr=True)
    pairs = []
    for number in track(range(count), console=stderr, disable=not stderr.is_terminal):
        rng = np.random.default_rng([seed, number])
        pairs.extend(find(number, forge(library, rng, SIZES[number % len(SIZES)], MIX)))
    print(f"{len(pairs)} pairs of regions, {sum(pair.copied for pair in pairs)} of them copies")
    fit_strength(pairs)
    fit_direction([pair for pair in pairs if pair.copied and pair.pasted])


def find(number: int, forgery: Forgery) -> Iterator[Pair]:
    """Yield the pairs found in an image. Only the first version of each copy counts for the direction."""
    gray = cv2.cvtColor(forgery.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    seen: list[Mask] = []
    copy, source = forgery.mask, forgery.source_mask
    for repetition in clones.repetitions(gray):
        areas = verify(gray, repetition)
        if areas is None:
            continue
        shares = [(region & copy).sum() / region.sum() for region in (areas.source, areas.target)]
        copied = source is not None and all(
            (region & (copy | source)).sum() > COVERED * region.sum()
            for region in (areas.source, areas.target)
        )
        pasted = int(np.sign(shares[1] - shares[0])) if abs(shares[1] - shares[0]) > 0.5 else 0
        if copied and any((areas.target & other).sum() > 0.5 * areas.target.sum() for other in seen):
            pasted = 0  # another version of the same copy would count twice
        seen.append(areas.source | areas.target)
        traces = compare(forgery.pixels, areas.source, areas.target, repetition.transform)
        yield Pair(number, copied and max(shares) > 0.5, clones.strength_terms(areas), traces, pasted)


def fit_strength(pairs: list[Pair]) -> None:
    terms = np.array([pair.terms for pair in pairs])
    truth = np.array([1 if pair.copied else -1 for pair in pairs])
    held_out = np.array([pair.image % HOLD_OUT == 0 for pair in pairs])
    terms = np.column_stack([terms, np.ones(len(terms))])
    weights = logistic(terms[~held_out], truth[~held_out])
    report("strength", [*clones.STRENGTH_TERMS, "intercept"], weights, terms[held_out], truth[held_out])


def fit_direction(pairs: list[Pair]) -> None:
    traces = np.array([astuple(pair.traces) for pair in pairs])
    truth = np.array([pair.pasted for pair in pairs])
    held_out = np.array([pair.image % HOLD_OUT == 0 for pair in pairs])
    weights = logistic(traces[~held_out], truth[~held_out])
    report("direction", [field.name for field in fields(Traces)], weights, traces[held_out], truth[held_out])


def logistic(terms: NDArray[np.float64], truth: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return the weights of a logistic regression, by Newton's method; `truth` is 1 or -1."""
    weights = np.zeros(terms.shape[1])
    ridge = 0.02 * np.eye(len(weights))
    for _ in range(30):
        probability = 1 / (1 + np.exp(-terms @ weights))
        gradient = terms.T @ (probability - (truth > 0)) + ridge @ weights
        curvature = (terms * (probability * (1 - probability))[:, None]).T @ terms + ridge
        weights = weights - np.linalg.solve(curvature, gradient)
    return weights


def report(
    what: str,
    names: list[str],
    weights: NDArray[np.float64],
    terms: NDArray[np.float64],
    truth: NDArray[np.int_],
) -> None:
    right = float((np.sign(terms @ weights) == truth).mean())
    print(f"{what}: correct for {right:.1%} of {len(truth)} held-out pairs")
    for name, weight in zip(names, weights, strict=True):
        print(f"  {name:16} {weight:6.2f}")


if __name__ == "__main__":
    main()
