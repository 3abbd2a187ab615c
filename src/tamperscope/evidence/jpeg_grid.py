"""Foreign JPEG grids: ZERO (Nikoukhah et al., Image Processing On Line 11, 2021).

JPEG compression sets many DCT coefficients of each 8x8 block to zero. Each pixel votes for the one of the 64
grid origins whose block around it has the most zeros; a region in which too many pixels vote for another
grid than the picture's, or that lacks the picture's grid, was put there later. Regions are accepted by their
number of false alarms (NFA): how many as good ones are expected in a picture without any JPEG trace.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence.strength import strength
from tamperscope.images import Image
from tamperscope.report import Evidence, Explanation

NAME = "jpeg_grid"
EXPLANATION = Explanation(
    what_you_see="Areas where the 8x8 blocks of an earlier JPEG compression lie on another grid than in the "
    "rest of the picture, or where the rest has such blocks and the area has none.",
    what_it_can_mean="The area was pasted from another JPEG, moved within the picture, or painted over after "
    "the picture had been compressed.",
    what_it_cannot="A paste leaves no trace if it happens to keep the grid (one chance in 64), if neither "
    "picture was a JPEG, or if a strong compression or scaling followed. Regular patterns such as fences or "
    "screens, text and flat computer graphics can imitate a grid.",
)
NOTABLE_AT = 5.0
"""-log10 NFA of the most significant region from which evidence is notable."""

_BLOCK = 8
_GRIDS = _BLOCK * _BLOCK
_NO_VOTE = -1
_STRIP = 32 * _BLOCK
"""Rows that vote at a time: what they take stays near the processor."""
_REACH = 12
"""Pixels between two votes for the same grid that still belong to one region."""
_SURROUNDINGS = 33
"""Side in pixels of the square in which the picture's grid must be as rare as chance to count as missing."""
_RECOMPRESSION = 99
"""JPEG quality that leaves a grid on whatever has none yet, and hardly anything else."""


class _Regions(NamedTuple):
    mask: NDArray[np.bool_]
    significance: float
    """-log10 of the lowest NFA; 0 without a region."""


def measure(image: Image) -> Evidence:
    """Look for areas whose JPEG grid is not that of the picture; the map is 1 there and 0 elsewhere."""
    luminance = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)
    votes = grid_votes(luminance)
    main = main_grid(votes)
    foreign = _significant_regions(votes, tuple(grid for grid in range(_GRIDS) if grid != main))
    missing = _missing_grid(luminance, votes, main)
    mask = foreign.mask | missing.mask
    return Evidence(
        NAME,
        EXPLANATION,
        _finding(foreign, missing, main),
        strength(max(foreign.significance, missing.significance), NOTABLE_AT),
        mask.astype(np.float32),
    )


def grid_votes(luminance: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return the grid that each pixel of a (height, width) image votes for: row * 8 + column of its origin.

    -1 where two grids have equally many zeros, where the block is constant along its rows or its columns, and
    within 7 pixels of the border.
    """
    votes = np.empty(luminance.shape, np.int8)
    for top in range(0, len(votes), _STRIP):
        # A block reaches seven pixels further; eight keep the grids' numbers.
        first = max(0, top - _BLOCK)
        strip = _votes_in_strip(luminance[first : top + _STRIP + _BLOCK])
        votes[top : top + _STRIP] = strip[top - first :][:_STRIP]
    border = _BLOCK - 1
    votes[:border] = votes[-border:] = votes[:, :border] = votes[:, -border:] = _NO_VOTE
    return votes


def _votes_in_strip(luminance: NDArray[np.uint8]) -> NDArray[np.int8]:
    height, width = luminance.shape
    zeros = _dct_zeros(luminance)
    rows, columns = np.arange(height) % _BLOCK, np.arange(width) % _BLOCK
    grids = (rows[:, None] * _BLOCK + columns).astype(np.uint16)
    # A window of 8x8 holds each grid once: where the largest and the smallest of the grids with the most
    # zeros are the same, there is no tie.
    ranked = zeros.astype(np.uint16) * _GRIDS
    window, anchor = np.ones((_BLOCK, _BLOCK), np.uint8), (_BLOCK - 1, _BLOCK - 1)
    largest = cv2.dilate(ranked + grids, window, anchor=anchor) % _GRIDS
    smallest = _GRIDS - 1 - cv2.dilate(ranked + (_GRIDS - 1 - grids), window, anchor=anchor) % _GRIDS
    votes = np.where(largest == smallest, largest, _NO_VOTE).astype(np.int8)
    # Back from each pixel to the block that won it.
    top = np.arange(height)[:, None] - (rows[:, None] - largest // _BLOCK) % _BLOCK
    left = np.arange(width) - (columns - largest % _BLOCK) % _BLOCK
    votes[_constant_blocks(luminance)[top, left]] = _NO_VOTE
    return votes


def main_grid(votes: NDArray[np.int8]) -> int | None:
    """Return the grid of the whole picture, None where none is significant."""
    counts = np.bincount(votes[votes != _NO_VOTE], minlength=_GRIDS)
    grid = int(counts.argmax())
    significant = _log_nfa(votes.size // _GRIDS, int(counts[grid]) // _GRIDS, _log_tests(votes)) < 0
    return grid if significant else None


def _dct_zeros(luminance: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Count the zero AC coefficients, after rounding, of the block that begins at each pixel."""
    samples = luminance.astype(np.float32)
    basis = cv2.dct(np.eye(_BLOCK, dtype=np.float32), flags=cv2.DCT_ROWS).T.copy()
    identity = np.ones(1, np.float32)
    zeros = np.zeros(luminance.shape, np.uint8)
    for vertical in basis:
        filtered = cv2.sepFilter2D(samples, cv2.CV_32F, identity, vertical, anchor=(0, 0))
        for horizontal in basis:
            coefficients = cv2.sepFilter2D(filtered, cv2.CV_32F, horizontal, identity, anchor=(0, 0))
            zeros += cv2.inRange(coefficients, -0.5, 0.5) & 1
    return zeros


def _constant_blocks(luminance: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell of the block that begins at each pixel whether all its rows, or all its columns, are the same."""
    constant = np.zeros(luminance.shape, bool)
    for axis, shape in ((0, (_BLOCK - 1, _BLOCK)), (1, (_BLOCK, _BLOCK - 1))):
        same = (luminance == np.roll(luminance, -1, axis)).astype(np.uint8)
        constant |= cv2.erode(same, np.ones(shape, np.uint8), anchor=(0, 0)) > 0
    return constant


def _significant_regions(votes: NDArray[np.int8], grids: tuple[int, ...]) -> _Regions:
    log_tests = _log_tests(votes)
    fewest = math.ceil(_GRIDS * log_tests / math.log10(_GRIDS))
    kernel = np.ones((_REACH, _REACH), np.uint8)
    mask, best = np.zeros(votes.shape, np.uint8), 0.0
    counts = np.bincount(votes[votes != _NO_VOTE], minlength=_GRIDS)
    for grid in grids:
        if counts[grid] < fewest:
            continue
        voters = (votes == grid).astype(np.uint8)
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(cv2.dilate(voters, kernel))
        sizes = np.bincount(labels[voters > 0], minlength=len(boxes))
        for label in np.flatnonzero(sizes >= fewest):
            width, height = boxes[label, cv2.CC_STAT_WIDTH], boxes[label, cv2.CC_STAT_HEIGHT]
            side = max(int(width), int(height)) - _REACH + 1
            significance = -_log_nfa(side * side // _GRIDS, int(sizes[label]) // _GRIDS, log_tests)
            if significance > 0:
                mask |= (labels == label) & voters
                best = max(best, significance)
    return _Regions(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel) > 0, best)


def _missing_grid(luminance: NDArray[np.uint8], votes: NDArray[np.int8], main: int | None) -> _Regions:
    """Find what takes the grid of a light compression although the picture around it already has one."""
    if main is None:
        return _Regions(np.zeros(votes.shape, bool), 0.0)
    _, data = cv2.imencode(".jpg", luminance, [cv2.IMWRITE_JPEG_QUALITY, _RECOMPRESSION])
    recompressed = grid_votes(np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8))
    share = cv2.blur((votes == main).astype(np.float32), (_SURROUNDINGS, _SURROUNDINGS))
    recompressed[share > 2 / _GRIDS] = _NO_VOTE
    return _significant_regions(recompressed, (0,))


def _log_tests(votes: NDArray[np.int8]) -> float:
    """log10 of the number of tests: 64 grids, and as many square regions as centres times sizes."""
    return math.log10(_GRIDS) + 1.5 * math.log10(votes.size)


def _log_nfa(blocks: int, voting: int, log_tests: float) -> float:
    """Bound log10 NFA of `voting` out of `blocks` independent votes for one of 64 equally likely grids.

    The binomial tail is bounded by Hoeffding's inequality (Desolneux, Moisan and Morel 2000), which keeps the
    false-alarm control.
    """
    share, chance = voting / blocks if blocks else 0.0, 1 / _GRIDS
    if share <= chance:
        return log_tests
    divergence = share * math.log10(share / chance)
    if share < 1:
        divergence += (1 - share) * math.log10((1 - share) / (1 - chance))
    return log_tests - blocks * divergence


def _finding(foreign: _Regions, missing: _Regions, main: int | None) -> str:
    significance = max(foreign.significance, missing.significance)
    if not significance:
        if main is None:
            return "The picture shows no JPEG grid."
        return "The whole picture follows one JPEG grid; no area departs from it."
    what = "follows another JPEG grid than" if foreign.significance else "lacks the JPEG grid of"
    share = (foreign.mask | missing.mask).mean()
    return f"{share:.1%} of the picture {what} the rest (by chance: 10^{-significance:.0f} such areas)."
