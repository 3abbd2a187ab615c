"""Clones: areas of an image that are copies of one another (copy-move).

    evidence = clones.measure(image)
    evidence.clones[0].source_mask, evidence.clones[0].target_mask, evidence.clones[0].transform

Keypoints are matched within the image (`_self_matching`), and what they suggest is verified pixel by pixel
(`_repeated_areas`). What merely looks alike, such as windows and fences, is told from copies by how well fine
detail and noise repeat, and by how many keypoints agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence._repeated_areas import Mask, RepeatedAreas, dilated, eroded, high_pass, verify
from tamperscope.evidence._self_matching import Gray, find_repetitions, fisher_z
from tamperscope.images import Image
from tamperscope.report import NOTABLE, Evidence, Explanation

NAME = "clones"

MOST_PIXELS = 2_000_000
"""Larger images are scaled down to this, which bounds time and memory."""
SMALLEST_SIDE = 64
"""Pixels; below it, too few keypoints are found to say anything."""
MOST_VERIFIED = 8
"""How many of the most certain repetitions are verified pixel by pixel."""

EXPLANATION = Explanation(
    what_you_see=(
        "Pairs of areas that repeat one another down to the fine detail. In each pair, one is marked as the "
        "source and one as the copy."
    ),
    what_it_can_mean=(
        "A part of the picture was copied to another place in it, to add something or to cover something. "
        "Two things that merely look alike differ in their detail and noise."
    ),
    what_it_cannot=(
        "Which of the two areas is the copy is a guess from their surroundings. Prints, logos and "
        "machine-made patterns can repeat by themselves. Copies of small or featureless areas, and copies "
        "that were distorted or strongly compressed, are missed."
    ),
)


@dataclass(frozen=True, eq=False)
class Clone:
    """Two areas of an image of which one is a copy of the other."""

    source_mask: Mask
    """(height, width): the area that was copied, probably."""
    target_mask: Mask
    """(height, width): the copy, probably; it may be the other way round."""
    transform: NDArray[np.float64]
    """(2, 3) affine: takes (x, y, 1) in the source to (x, y) in the target, in pixels of the image."""
    matches: int
    """How many keypoints agree on the transform."""
    strength: float
    """`NOTABLE` to 1, as in `Evidence`."""

    def to_json(self) -> dict[str, Any]:
        """Return the clone without its masks, in types that `json.dumps` takes."""
        return {
            "source": _box(self.source_mask),
            "target": _box(self.target_mask),
            "transform": self.transform.round(4).tolist(),
            "matches": self.matches,
            "strength": round(self.strength, 4),
        }


@dataclass(frozen=True, eq=False)
class CloneEvidence(Evidence):
    """The copies within an image, the strongest first; the map marks both areas of each, as strongly."""

    clones: tuple[Clone, ...] = ()

    def details(self) -> dict[str, Any]:
        """Return the boxes of each clone and what takes the one to the other."""
        return {"clones": [clone.to_json() for clone in self.clones]}


def measure(image: Image) -> CloneEvidence:
    """Find the areas of an image that are copies of one another."""
    if min(image.height, image.width) < SMALLEST_SIDE:
        return _evidence(
            f"The image is too small to look for copies: that takes {SMALLEST_SIDE} pixels each way.",
            strength=None,
        )
    gray, scale = _within_budget(image.pixels)
    verified = [verify(gray, repetition) for repetition in find_repetitions(gray)[:MOST_VERIFIED]]
    repeated = sorted((areas for areas in verified if areas is not None), key=_strength, reverse=True)
    strength = _strength(repeated[0]) if repeated else 0.0
    clones = tuple(
        _clone(areas, gray, scale, image.pixels.shape[:2])
        for areas in _distinct(repeated)
        if _strength(areas) >= NOTABLE
    )
    strength_map = np.zeros(image.pixels.shape[:2], np.float32)
    for clone in reversed(clones):
        strength_map[clone.source_mask | clone.target_mask] = clone.strength
    return _evidence(_finding(clones), strength, strength_map, clones)


def _evidence(
    finding: str,
    strength: float | None,
    strength_map: NDArray[np.float32] | None = None,
    clones: tuple[Clone, ...] = (),
) -> CloneEvidence:
    return CloneEvidence(NAME, EXPLANATION, finding, strength, strength_map, clones)


def _finding(clones: tuple[Clone, ...]) -> str:
    if not clones:
        return "No area of the image is a copy of another, as far as can be seen."
    if len(clones) == 1:
        return f"An area was probably copied to another place in the image, {_manner(clones[0])}."
    manners = "; ".join(dict.fromkeys(_manner(clone) for clone in clones))
    return f"{len(clones)} areas were probably copied to other places in the image: {manners}."


def _manner(clone: Clone) -> str:
    """Say how the copy differs: `unchanged`, or `mirrored, turned by 30 degrees, scaled to 120 %`."""
    (a, b), (c, d) = clone.transform[:, :2]
    mirrored = a * d < b * c
    if mirrored:  # left to right; the rest is turning and scaling
        a, c = -a, -c
    degrees = round(float(np.degrees(np.arctan2(c, a))))
    scale = float(np.sqrt(abs(a * d - b * c)))
    changes = [
        "mirrored" if mirrored else "",
        f"turned by {abs(degrees)} degrees" if abs(degrees) > 2 else "",
        f"scaled to {scale:.0%}" if abs(scale - 1) > 0.03 else "",
    ]
    return ", ".join(filter(None, changes)) or "unchanged"


def _within_budget(pixels: NDArray[np.uint8]) -> tuple[Gray, float]:
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    scale = min(1.0, float(np.sqrt(MOST_PIXELS / gray.size)))
    if scale < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return gray, scale


def _strength(areas: RepeatedAreas) -> float:
    """Return 0 to 1, `NOTABLE` where authentic photos hardly ever get.

    A logistic regression of 30 synthesised copies against 381 lookalikes in 190 authentic photos, of which
    2 % are notable. `benchmarks/clones.py` measures it on others.
    """
    repetition = areas.repetition
    score = (
        1.8 * fisher_z(repetition.likeness)
        + 2.4 * np.log(repetition.matches)
        + 1.1 * repetition.whole_pixels
        + 0.6 * fisher_z(areas.detail)
        # Lookalikes, such as windows of one house, are mostly equally large.
        + 0.6 * abs(np.log2(repetition.scale))
        - 10.3
    )
    return float(1 / (1 + np.exp(-score)))


def _distinct(repeated: list[RepeatedAreas]) -> list[RepeatedAreas]:
    """Drop areas that are mostly the same pair as a stronger one before them, in whichever direction."""
    distinct: list[RepeatedAreas] = []
    for areas in repeated:
        if not any(_same(areas, other) for other in distinct):
            distinct.append(areas)
    return distinct


def _same(areas: RepeatedAreas, other: RepeatedAreas) -> bool:
    straight = _shared(areas.source, other.source), _shared(areas.target, other.target)
    crossed = _shared(areas.source, other.target), _shared(areas.target, other.source)
    return max(min(straight), min(crossed)) > 0.5


def _shared(area: Mask, other: Mask) -> float:
    return float((area & other).sum() / area.sum())


def _clone(areas: RepeatedAreas, gray: Gray, scale: float, shape: tuple[int, ...]) -> Clone:
    """Put the pair into the image's own resolution, the likelier copy as its target."""
    source, target, transform = areas.source, areas.target, areas.repetition.transform
    if _looks_pasted(gray, source) > _looks_pasted(gray, target):
        source, target, transform = target, source, cv2.invertAffineTransform(transform)
    return Clone(
        source_mask=_resized(source, shape),
        target_mask=_resized(target, shape),
        transform=np.column_stack([transform[:, :2], transform[:, 2] / scale]),
        matches=areas.repetition.matches,
        strength=_strength(areas),
    )


def _looks_pasted(gray: Gray, area: Mask) -> float:
    """Return by how much the surroundings of an area exceed it in fine detail.

    Turning, scaling and feathering a piece cost it detail, and its new outline adds some just outside.
    """
    detail = np.abs(high_pass(gray))
    inside = eroded(area, 5)
    around = dilated(area, 13) & ~dilated(area, 3)
    return float(np.log(detail[around].mean() + 0.1) - np.log(detail[inside].mean() + 0.1))


def _box(mask: Mask) -> dict[str, int]:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return {"x": x, "y": y, "width": width, "height": height}


def _resized(mask: Mask, shape: tuple[int, ...]) -> Mask:
    size = shape[1], shape[0]
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)
