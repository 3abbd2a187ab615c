"""Foreign JPEG grids: ZERO (Nikoukhah et al., Image Processing On Line 11, 2021).

JPEG compression sets many DCT coefficients of each 8x8 block to zero. Each pixel votes for one of the 64 grid
origins: the one whose block around the pixel has the most zeros. A region was added later if too many of its
pixels vote for a grid other than the image's, or if it lacks the image's grid. Regions are accepted by their
number of false alarms (NFA): how many equally good ones are expected in an image without any JPEG trace.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence.strength import strength
from tamperscope.images import Image
from tamperscope.interruption import checkpoint
from tamperscope.report import Evidence, Explanation, percent

NAME = "jpeg_grid"
EXPLANATION = Explanation(
    what_you_see="Regions where the 8x8 blocks of an earlier JPEG compression lie on a different grid from "
    "the rest of the picture, or regions without such blocks where the rest has them.",
    what_it_can_mean="The region was pasted from another JPEG, moved within the picture, or painted over "
    "after the picture had been compressed.",
    what_it_cannot="A paste leaves no trace if it happens to keep the grid (one chance in 64), if neither "
    "picture was a JPEG, or if strong compression or scaling followed. Regular patterns such as fences or "
    "screens, text and flat computer graphics can imitate a grid.",
)
NOTABLE_AT = 5.0
"""-log10 NFA of the most significant region from which evidence is notable."""

_BLOCK = 8
_GRIDS = _BLOCK * _BLOCK
_NO_VOTE = -1
_STRIP = 32 * _BLOCK
"""Rows that vote at a time: few enough for their data to stay in the processor's cache."""
_COUNTED_ROWS = 1024
"""Rows that are counted at a time."""
_CELL = 4
"""Side, in pixels, of the cells of votes that are connected first."""
_REACH = 12
"""Largest distance, in pixels, of two votes for the same grid that belong to one region."""
_SURROUNDINGS = 33
"""Side, in pixels, of the square in which the image's grid must be as rare as chance to count as missing."""
_RECOMPRESSION = 99
"""JPEG quality that leaves a grid where an image lacks one, and changes hardly anything else."""


class _Regions(NamedTuple):
    mask: NDArray[np.bool_]
    significance: float
    """-log10 of the lowest NFA; 0 if there is no region."""


def measure(image: Image) -> Evidence:
    """Return whether regions have a JPEG grid other than the image's, or lack it.

    The map is (height, width) float32: 1 in such regions and 0 elsewhere.
    """
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

    The result has the same shape. It is -1 where two grids have equally many zeros, where the block is
    constant along its rows or its columns, and within 7 pixels of the border.
    """
    votes = np.empty(luminance.shape, np.int8)
    for top in range(0, len(votes), _STRIP):
        checkpoint()
        # A block reaches seven pixels further. A margin of eight preserves the numbers of the grids.
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
    # A window of 8x8 holds each grid once. There is no tie where the largest and the smallest number of the
    # grids with the most zeros are the same.
    ranked = zeros.astype(np.uint16) * _GRIDS
    window, anchor = np.ones((_BLOCK, _BLOCK), np.uint8), (_BLOCK - 1, _BLOCK - 1)
    largest = cv2.dilate(ranked + grids, window, anchor=anchor) % _GRIDS
    smallest = _GRIDS - 1 - cv2.dilate(ranked + (_GRIDS - 1 - grids), window, anchor=anchor) % _GRIDS
    votes = np.where(largest == smallest, largest, _NO_VOTE).astype(np.int8)
    # Where the block begins that won the vote of each pixel.
    top = np.arange(height)[:, None] - (rows[:, None] - largest // _BLOCK) % _BLOCK
    left = np.arange(width) - (columns - largest % _BLOCK) % _BLOCK
    votes[_constant_blocks(luminance)[top, left]] = _NO_VOTE
    return votes


def main_grid(votes: NDArray[np.int8]) -> int | None:
    """Return the grid of the whole image; None if no grid is significant."""
    counts = _counts(votes, votes != _NO_VOTE, _GRIDS)
    grid = int(counts.argmax())
    significant = _log_nfa(votes.size // _GRIDS, int(counts[grid]) // _GRIDS, _log_tests(votes)) < 0
    return grid if significant else None


def _dct_zeros(luminance: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return how many coefficients of the block that begins at each pixel round to zero."""
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
    """Return whether all rows, or all columns, of the block that begins at each pixel are the same."""
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
    counts = _counts(votes, votes != _NO_VOTE, _GRIDS)
    for grid in grids:
        if counts[grid] < fewest:
            continue
        checkpoint()
        for window, voters in _crowds(votes, grid, fewest):
            _, labels, boxes, _ = cv2.connectedComponentsWithStats(cv2.dilate(voters, kernel))
            sizes = _counts(labels, voters > 0, len(boxes))
            accepted = np.zeros(len(boxes), np.uint8)
            for label in np.flatnonzero(sizes >= fewest):
                width, height = boxes[label, cv2.CC_STAT_WIDTH], boxes[label, cv2.CC_STAT_HEIGHT]
                side = max(int(width), int(height)) - _REACH + 1
                significance = -_log_nfa(side * side // _GRIDS, int(sizes[label]) // _GRIDS, log_tests)
                if significance > 0:
                    accepted[label] = 1
                    best = max(best, significance)
            if accepted.any():
                mask[window] |= accepted[labels] & voters
    return _Regions(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel) > 0, best)


def _crowds(
    votes: NDArray[np.int8], grid: int, fewest: int
) -> Iterator[tuple[tuple[slice, slice], NDArray[np.uint8]]]:
    """Yield the windows that hold enough connected votes for a grid to be a region, and these votes in them.

    Votes are (height, width) uint8, 0 or 1. Cells of votes are connected first, which is far fewer pixels:
    what is connected within `_REACH` is connected by cells too, and no window splits it.
    """
    height, width = votes.shape
    voters = cv2.compare(votes, float(grid), cv2.CMP_EQ)
    padded = cv2.copyMakeBorder(voters, 0, -height % _CELL, 0, -width % _CELL, cv2.BORDER_CONSTANT)
    shape = padded.shape[1] // _CELL, padded.shape[0] // _CELL
    # The mean of a cell of 0 and 255 tells exactly how many votes it holds.
    means = cv2.resize(padded, shape, interpolation=cv2.INTER_AREA)
    held = np.rint(means * (_CELL**2 / 255)).astype(np.uint8)
    # Two cells to each side: more than `_REACH` is to connect, and no window may cut a dilated vote.
    reach = np.ones((5, 5), np.uint8)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(cv2.dilate(held, reach).clip(max=1))
    sizes = np.bincount(labels.ravel(), held.ravel(), len(boxes))
    for label in np.flatnonzero(sizes[1:] >= fewest) + 1:
        left, top, across, down = boxes[label, :4]
        cells = slice(top, top + down), slice(left, left + across)
        rows, columns = (slice(side.start * _CELL, side.stop * _CELL) for side in cells)
        own = np.repeat(np.repeat(labels[cells] == label, _CELL, 0), _CELL, 1)
        inside = voters[rows, columns]
        yield (rows, columns), inside & own[: inside.shape[0], : inside.shape[1]]


def _counts(
    numbers: NDArray[np.signedinteger[Any]], where: NDArray[np.bool_], length: int
) -> NDArray[np.intp]:
    """Return how often each number below `length` occurs where `where` is True; both are (height, width)."""
    counts = np.zeros(length, np.intp)
    # In strips, because NumPy counts in 64 bits: eight bytes for each pixel.
    for top in range(0, len(numbers), _COUNTED_ROWS):
        rows = slice(top, top + _COUNTED_ROWS)
        counts += np.bincount(numbers[rows][where[rows]], minlength=length)
    return counts


def _missing_grid(luminance: NDArray[np.uint8], votes: NDArray[np.int8], main: int | None) -> _Regions:
    """Return the regions that lack the image's grid.

    They take on the grid of a light compression, and votes for the image's grid are as rare there as chance.
    """
    if main is None:
        return _Regions(np.zeros(votes.shape, bool), 0.0)
    _, data = cv2.imencode(".jpg", luminance, [cv2.IMWRITE_JPEG_QUALITY, _RECOMPRESSION])
    recompressed = grid_votes(np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8))
    around = (_SURROUNDINGS, _SURROUNDINGS)
    usual = cv2.boxFilter((votes == main).view(np.uint8), cv2.CV_16U, around, normalize=False)
    recompressed[usual > 2 / _GRIDS * _SURROUNDINGS**2] = _NO_VOTE
    return _significant_regions(recompressed, (0,))


def _log_tests(votes: NDArray[np.int8]) -> float:
    """Return log10 of the number of tests: 64 grids times all square regions, by centre and size."""
    return math.log10(_GRIDS) + 1.5 * math.log10(votes.size)


def _log_nfa(blocks: int, voting: int, log_tests: float) -> float:
    """Return an upper bound of log10 NFA for `voting` of `blocks` independent votes for one grid of 64.

    All grids are equally likely. Hoeffding's inequality bounds the binomial tail (Desolneux, Moisan and Morel
    2000), which preserves the control of false alarms.
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
        return "The whole picture follows one JPEG grid; no region departs from it."
    share = percent((foreign.mask | missing.mask).mean())
    chance = f"(expected by chance: 10^{-significance:.0f} such regions)"
    if foreign.significance:
        return f"{share} of the picture follows a different JPEG grid from the rest {chance}."
    return f"{share} of the picture lacks the JPEG grid of the rest {chance}."
