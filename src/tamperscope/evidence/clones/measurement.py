"""The clones of an image: proposed, verified, told apart from lookalikes, and each given a direction.

`keypoints`, `shifts` and `exact` propose repetitions, and `verification` verifies them pixel by pixel.
`proof` tells copies from lookalikes such as windows, letters and products on a shelf. `direction` weighs
which of the two regions is the copy, by how each sits in its surroundings, by traces of interpolation and by
traces of an earlier compression.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence.clones import proof
from tamperscope.evidence.clones.direction import compare, compression_log_odds, pasted_log_odds
from tamperscope.evidence.clones.exact import find_copies
from tamperscope.evidence.clones.keypoints import Gray, Repetition, find_repetitions, fisher_z
from tamperscope.evidence.clones.shifts import find_shifts
from tamperscope.evidence.clones.verification import Mask, RepeatedRegions, verify
from tamperscope.images import Image
from tamperscope.images.contours import fitted, polygon
from tamperscope.images.drawings import plain
from tamperscope.report import NOTABLE, Box, Evidence, Explanation, percent, scaled_points

NAME = "clones"

MOST_PIXELS = 2_000_000
"""Larger images are scaled down to this, to bound time and memory."""
SMALLEST_SIDE = 64
"""Pixels. Below it, too few keypoints are found to conclude anything."""
MOST_VERIFIED = 8
"""How many of the most certain repetitions of each kind are verified pixel by pixel."""
MOST_COMPARED = 2
"""How many times the pixels of the image are compared in all, because halves of an image that repeat one
another cost as much as many small copies."""
LEAST_LIKE = 0.7
"""Least Fisher's z of a pair's likeness, as a share of the image's best. The rest belongs to a pattern."""
MOST_PLAIN = 0.28
"""Largest share of plain pixels in a copy of photographed content. Pairs of writing have more
(docs/measurements/experiments.md, 30)."""
DECIDED = 0.8
"""Probability from which only the likelier copy is marked. Below it, marking both regions costs less: if they
are equally large, both have an F1 of 2/3, whichever is the copy."""

_Ranked = tuple[float, RepeatedRegions]
"""The strength of a pair, and the pair."""

EXPLANATION = Explanation(
    what_you_see=(
        "Pairs of regions that repeat one another down to the fine detail. In each pair, one is marked as "
        "the source and one as the copy."
    ),
    what_it_can_mean=(
        "A part of the picture was copied to another place in it, to add something or to cover something up. "
        "A copy repeats the noise of its source; two things that merely look alike have noise of their own."
    ),
    what_it_cannot=(
        "Which of the two regions is the copy is an estimate. Where it is too uncertain, both are marked. "
        "Prints, logos and machine-made patterns can repeat by themselves. Copies of small or featureless "
        "regions, and copies that were distorted or strongly compressed, are missed."
    ),
)


@dataclass(frozen=True, eq=False)
class Clone:
    """Two regions of an image, one of which is a copy of the other."""

    source_mask: Mask
    """bool, of the image's `map_shape`: the region that was probably copied."""
    target_mask: Mask
    """bool, of the image's `map_shape`: the probable copy. It may be the other way round."""
    transform: NDArray[np.float64]
    """(2, 3) affine: maps (x, y, 1) in the source to (x, y) in the target, in pixels of the image."""
    matches: int
    """How many places agree on the transform."""
    strength: float
    """`NOTABLE` to 1, as in `Evidence`."""
    log_odds: float
    """Natural logarithm of the odds, at least 0, that the target is the copy and not the source."""
    magnification: tuple[float, float] = (1.0, 1.0)
    """As `Image.magnification`: how many times the image is wider and higher than the masks."""

    @property
    def certainty(self) -> float:
        """Probability, 0.5 to 1, that the target is the copy and not the source."""
        return 1 / (1 + math.exp(-self.log_odds))

    @property
    def decided(self) -> bool:
        """Whether it is certain enough that the target is the copy."""
        return self.certainty >= DECIDED

    @property
    def marked(self) -> Mask:
        """The copy, as in `target_mask`, or both regions if it is too uncertain which one is the copy."""
        return self.target_mask if self.decided else self.source_mask | self.target_mask

    def judged(self, log_odds: float) -> Clone:
        """Return this clone with other log odds. Below 0, source and target change places."""
        if log_odds >= 0:
            return replace(self, log_odds=log_odds)
        return replace(
            self,
            source_mask=self.target_mask,
            target_mask=self.source_mask,
            transform=cv2.invertAffineTransform(self.transform),
            log_odds=-log_odds,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the clone with outlines in place of its masks, in types that `json.dumps` accepts."""
        return {
            "source": _outlined(self.source_mask, self.magnification),
            "target": _outlined(self.target_mask, self.magnification),
            "transform": (self.transform.round(4) + 0.0).tolist(),  # no -0.0
            "change": _manner(self),
            "matches": self.matches,
            "strength": round(self.strength, 4),
            "certainty": round(self.certainty, 4),
        }


@dataclass(frozen=True, eq=False)
class CloneEvidence(Evidence):
    """The copies within an image, strongest first. The map marks both regions of each with its strength.

    The details are `{"clones": [...]}`, with the results of `Clone.to_json`.
    """

    clones: tuple[Clone, ...] = ()


def measure(image: Image) -> CloneEvidence:
    """Return the regions of an image that are copies of one another."""
    if min(image.height, image.width) < SMALLEST_SIDE:
        return _evidence(
            f"The picture is too small to search for copies: its sides need at least {SMALLEST_SIDE} pixels.",
            strength=None,
        )
    if image.filled:
        return _evidence(
            "The picture is filled with plain colours, as screenshots and drawings are. Writing and symbols "
            "repeat by themselves, so copies cannot be told apart from them.",
            strength=None,
        )
    pixels, gray = within_budget(image.pixels)
    scale = pixels.shape[1] / image.width
    ranked = sorted(
        ((proof.strength(pair, gray), pair) for pair in verified_pairs(image, pixels, gray)),
        key=lambda ranked: -ranked[0],
    )
    certain = _unlike_patterns([(strength, pair) for strength, pair in ranked if strength >= NOTABLE])
    clones = tuple(_clone(strength, pair, pixels, image, scale) for strength, pair in _distinct(certain))
    strength_map = np.zeros(image.map_shape, np.float32)
    for clone in reversed(clones):
        strength_map[clone.source_mask | clone.target_mask] = clone.strength
    # What looks alike without proof is for the reader, and must not move the score.
    strength = clones[0].strength if clones else 0.0
    return _evidence(_finding(clones, lookalikes=len(ranked)), strength, strength_map, clones)


def weigh(found: CloneEvidence, compressed_once: NDArray[np.float32]) -> CloneEvidence:
    """Weigh again which region of each pair is the copy, by traces of an earlier compression.

    `compressed_once` is the map of `double_jpeg`, of the image's `map_shape`. What was put in between two
    compressions was compressed only once.
    """
    if not found.clones:
        return found
    clones = []
    for clone in found.clones:
        log_odds = compression_log_odds(clone.source_mask, clone.target_mask, compressed_once)
        clones.append(clone.judged(clone.log_odds + log_odds))
    return _evidence(_finding(tuple(clones), lookalikes=0), found.strength, found.map, tuple(clones))


def within_budget(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Gray]:
    """Return an image, (height, width, 3) RGB, at the resolution of the search, and the same in grey.

    The grey one is float32, 0 to 255, and finer than whole numbers where the image was scaled down.
    """
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = float(np.sqrt(MOST_PIXELS / gray.size))
    if scale >= 1:
        return pixels, gray.astype(np.float32)
    size = round(gray.shape[1] * scale), round(gray.shape[0] * scale)
    # In 16 bits: the noise of many averaged pixels is smaller than one level of 8.
    fine = cv2.resize(gray.astype(np.uint16) << 8, size, interpolation=cv2.INTER_AREA)
    return (
        np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8),
        fine.astype(np.float32) / np.float32(256),
    )


def verified_pairs(image: Image, pixels: NDArray[np.uint8], gray: Gray) -> list[RepeatedRegions]:
    """Return the pairs of regions that repeat one another pixel by pixel, copies and lookalikes.

    `pixels` and `gray` are what `within_budget` returns of the image.
    """
    lossless = pixels is image.pixels and image.format != "JPEG"
    found = _affordable(repetitions(gray, pixels if lossless else None), MOST_COMPARED * gray.size)
    with _threads() as threads:
        pairs = list(threads.map(lambda repetition: verify(gray, repetition), found))
    # Writing or symbols, within a photo or next to one, are plain where they are not an edge.
    flat = plain(gray)
    return [pair for pair in pairs if pair is not None and flat[pair.target].mean() <= MOST_PLAIN]


def repetitions(gray: Gray, pixels: NDArray[np.uint8] | None = None) -> list[Repetition]:
    """Return the parts of `gray` (height, width; 0 to 255) that may be repeated, not yet verified.

    `pixels` is the same image in RGB, (height, width, 3), given only if nothing was lost since it was edited.
    Parts that it repeats bit by bit are then included.
    """
    with _threads() as threads:
        shifts = threads.submit(lambda: sorted(find_shifts(gray), key=lambda found: -found.weight))
        exact = threads.submit(
            lambda: [] if pixels is None else list(islice(find_copies(pixels), MOST_VERIFIED))
        )
        by_keypoints = find_repetitions(gray, threads)
        return exact.result() + shifts.result()[:MOST_VERIFIED] + by_keypoints[:MOST_VERIFIED]


def _threads() -> ThreadPoolExecutor:
    """Return as many threads as OpenCV may use: one in a scan, which fills the cores with processes."""
    return ThreadPoolExecutor(cv2.getNumThreads(), thread_name_prefix="tamperscope-clones")


def _affordable(found: list[Repetition], pixels: int) -> Iterator[Repetition]:
    """Yield repetitions until the boxes around their targets have more than so many pixels together."""
    for repetition in found:
        yield repetition
        pixels -= int(np.ptp(repetition.target, axis=0).prod())
        if pixels < 0:
            return


def _evidence(
    finding: str,
    strength: float | None,
    strength_map: NDArray[np.float32] | None = None,
    clones: tuple[Clone, ...] = (),
) -> CloneEvidence:
    details = {"clones": [clone.to_json() for clone in clones]}
    return CloneEvidence(NAME, EXPLANATION, finding, strength, strength_map, details, clones)


def _finding(clones: tuple[Clone, ...], lookalikes: int) -> str:
    if not clones and lookalikes:
        return (
            "Parts of the picture look alike, but nothing shows that one was copied from the other. "
            "Writing, print, products and architecture repeat by themselves."
        )
    if not clones:
        return "No copied region was found in the picture."
    if len(clones) == 1:
        return f"A region was probably copied to another place in the picture, {_manner(clones[0])}."
    manners = "; ".join(dict.fromkeys(_manner(clone) for clone in clones))
    return f"{len(clones)} regions were probably copied to other places in the picture: {manners}."


def _manner(clone: Clone) -> str:
    """Return how the copy differs: `unchanged`, or `mirrored, turned by 30 degrees, scaled to 120 %`."""
    (a, b), (c, d) = clone.transform[:, :2]
    mirrored = a * d < b * c
    if mirrored:  # left to right; what remains is rotation and scale
        a, c = -a, -c
    degrees = round(float(np.degrees(np.arctan2(c, a))))
    scale = float(np.sqrt(abs(a * d - b * c)))
    changes = [
        "mirrored" if mirrored else "",
        f"turned by {abs(degrees)} degrees" if abs(degrees) > 2 else "",
        f"scaled to {percent(scale)}" if abs(scale - 1) > 0.03 else "",
    ]
    return ", ".join(filter(None, changes)) or "unchanged"


def _unlike_patterns(ranked: list[_Ranked]) -> list[_Ranked]:
    """Drop the pairs that are only as alike as the image's own pattern, if another pair is more alike."""
    likeness = [fisher_z(pair.repetition.likeness) for _, pair in ranked]
    return [each for each, z in zip(ranked, likeness, strict=True) if z >= LEAST_LIKE * max(likeness)]


def _distinct(ranked: list[_Ranked]) -> list[_Ranked]:
    """Drop pairs that are mostly the same as a stronger one before them, in either direction."""
    distinct: list[_Ranked] = []
    for strength, pair in ranked:
        if not any(_same(pair, other) for _, other in distinct):
            distinct.append((strength, pair))
    return distinct


def _same(pair: RepeatedRegions, other: RepeatedRegions) -> bool:
    straight = _shared(pair.source, other.source), _shared(pair.target, other.target)
    crossed = _shared(pair.source, other.target), _shared(pair.target, other.source)
    return max(min(straight), min(crossed)) > 0.5


def _shared(region: Mask, other: Mask) -> float:
    return float((region & other).sum() / region.sum())


def _clone(
    strength: float, pair: RepeatedRegions, pixels: NDArray[np.uint8], image: Image, scale: float
) -> Clone:
    """Return the pair at the resolution of the image's maps, with the likelier copy as its target."""
    source, target, transform = pair.source, pair.target, pair.repetition.transform
    clone = Clone(
        source_mask=fitted(source, image.map_shape),
        target_mask=fitted(target, image.map_shape),
        transform=np.column_stack([transform[:, :2], transform[:, 2] / scale]),
        matches=pair.repetition.matches,
        strength=strength,
        log_odds=0.0,
        magnification=image.magnification,
    )
    return clone.judged(pasted_log_odds(compare(pixels, source, target, transform)))


def _outlined(mask: Mask, magnification: tuple[float, float]) -> dict[str, Any]:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    box = Box(x, y, width, height).scaled(*magnification)
    points = scaled_points(polygon(mask), *magnification)
    return {"box": asdict(box), "polygon": [list(point) for point in points]}
