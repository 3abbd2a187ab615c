"""JPEG ghosts (Farid, "Exposing digital forgeries from JPEG ghosts", IEEE TIFS 4, 2009).

The image is compressed at many qualities. At the quality that a region once had, it changes less than
expected. Where one region does so and the rest does not, or the reverse, their histories differ.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence._maps import of_blocks
from tamperscope.evidence.strength import strength
from tamperscope.images import Image
from tamperscope.interruption import checkpoint
from tamperscope.report import NOTABLE, Evidence, Explanation, percent

NAME = "jpeg_ghosts"
EXPLANATION = Explanation(
    what_you_see="Regions that react differently from the rest when the picture is compressed, at the one "
    "quality that shows the greatest difference.",
    what_it_can_mean="The region was once compressed at a different quality from the rest, or not at all. "
    "It may come from another picture, or have been painted in later.",
    what_it_cannot="An earlier compression shows only if it was stronger than the last one and used the same "
    "8x8 grid. Regions that differ greatly in texture or sharpness can react differently for that reason "
    "alone.",
)
NOTABLE_AT = 4.0
"""Separation of the two groups of blocks, in standard deviations, from which evidence is notable."""

MOST_PIXELS = 4_000_000
"""Of larger images only every second (or third, ...) block counts in each direction, to bound the time."""

_QUALITIES = range(50, 100, 3)
_BLOCK = 16
"""Side, in pixels, of the squares over which differences are averaged."""
_FEWEST_BLOCKS = 64
_FLAT = 2.0
"""A block whose squared difference is below this at every quality has no texture to lose."""
_GHOST = 0.15
"""Normalised difference up to which a group has its ghost: it hardly changes at that quality."""
_SMALLEST_AREA = 0.01
"""Smallest share of the blocks that must react differently."""
_LEAST_DEVIATION = 0.03
"""Floor of the standard deviation inside a group, in units of the normalised difference."""


class _Ghost(NamedTuple):
    """The two groups into which one quality splits the blocks."""

    quality: int
    separation: float
    """Distance of their means in standard deviations, times `_largest_share` of the smaller group."""
    map: NDArray[np.float32]
    """(blocks down, blocks across), 0 where blocks react like most, 1 where they react like the others."""


def measure(image: Image) -> Evidence:
    """Return whether one quality separates a group of blocks from the rest.

    The map has the image's `map_shape`: float32, 0 to 1, highest in that group.
    """
    luminance = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)
    if (image.height // _BLOCK) * (image.width // _BLOCK) < _FEWEST_BLOCKS:
        return Evidence(NAME, EXPLANATION, "The picture is too small to compare its regions.", None)
    sampled, spacing = _sampled(luminance)
    differences = np.array([_difference(sampled, quality) for quality in _QUALITIES])
    textured = differences.max(axis=0) >= _FLAT
    least = differences.min(axis=0)
    normalised = (differences - least) / np.maximum(differences.max(axis=0) - least, _FLAT)
    ghosts = [
        _ghost(quality, difference.astype(np.float32), textured)
        for quality, difference in zip(_QUALITIES, normalised, strict=True)
    ]
    ghost = max(ghosts, key=lambda candidate: candidate.separation)
    found = strength(ghost.separation, NOTABLE_AT)
    share = percent((ghost.map > 0.5).mean())
    finding = (
        f"At compression quality {ghost.quality}, {share} of the picture stands out."
        if found >= NOTABLE
        else "No region stands out at any compression quality."
    )
    whole = image.height, image.width
    shown = of_blocks(ghost.map, spacing * _BLOCK, whole, image.map_shape)
    return Evidence(NAME, EXPLANATION, finding, found, shown)


def _sampled(luminance: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return as many blocks as `MOST_PIXELS` allows, side by side, and their spacing in blocks.

    Compression changes them as it would in their own places, because no JPEG block crosses their borders.
    """
    spacing = math.ceil(math.sqrt(luminance.size / MOST_PIXELS))
    down, across = luminance.shape[0] // _BLOCK, luminance.shape[1] // _BLOCK
    blocks = luminance[: down * _BLOCK, : across * _BLOCK].reshape(down, _BLOCK, across, _BLOCK)
    taken = blocks[::spacing, :, ::spacing]
    return np.ascontiguousarray(taken).reshape(taken.shape[0] * _BLOCK, taken.shape[2] * _BLOCK), spacing


def _difference(luminance: NDArray[np.uint8], quality: int) -> NDArray[np.float32]:
    """Return the mean squared change of each block when compressed at `quality`."""
    checkpoint()
    _, data = cv2.imencode(".jpg", luminance, [cv2.IMWRITE_JPEG_QUALITY, quality])
    change = cv2.absdiff(luminance, cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)).astype(np.float32) ** 2
    size = luminance.shape[1] // _BLOCK, luminance.shape[0] // _BLOCK
    return np.asarray(cv2.resize(change, size, interpolation=cv2.INTER_AREA))


def _ghost(quality: int, difference: NDArray[np.float32], textured: NDArray[np.bool_]) -> _Ghost:
    """Split the blocks into two groups by their normalised difference (Otsu 1979)."""
    smooth = cv2.medianBlur(difference, 3)
    nothing = _Ghost(quality, 0.0, np.zeros(difference.shape, np.float32))
    values = smooth[textured]
    if values.size < _FEWEST_BLOCKS:
        return nothing
    threshold, _ = cv2.threshold((values * 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    high = values > threshold / 255
    if not _SMALLEST_AREA <= high.mean() <= 1 - _SMALLEST_AREA:
        return nothing
    group = high if high.mean() <= 0.5 else ~high
    inside, outside = values[group], values[~group]
    spread = np.sqrt((inside.var() + outside.var()) / 2)
    if min(inside.mean(), outside.mean()) > _GHOST:
        return nothing
    separation = abs(inside.mean() - outside.mean()) / max(float(spread), _LEAST_DEVIATION)
    likeness = (smooth - outside.mean()) / (inside.mean() - outside.mean())
    separation *= _largest_share(group, textured)
    return _Ghost(
        quality, float(separation), np.where(textured, np.clip(likeness, 0, 1), 0).astype(np.float32)
    )


def _largest_share(group: NDArray[np.bool_], textured: NDArray[np.bool_]) -> float:
    """Return the share of a group of textured blocks that its largest connected region holds."""
    blocks = np.zeros(textured.shape, np.uint8)
    blocks[textured] = group
    _, labels = cv2.connectedComponents(blocks)
    return float(np.bincount(labels[labels > 0]).max() / blocks.sum())
