"""Overlapping tiles at native resolution, and a map stitched from them without seams.

    tiles = plan(height, width)
    maps = [network(pixels[tile.rows, tile.columns]) for tile in tiles]
    heatmap = stitch(tiles, maps)

A convolution's padding disturbs a tile near its borders. Towards a neighbour, a tile's weight is therefore
zero for a quarter of their overlap, then rises as a raised cosine. At the border of the image there is no
neighbour, and the weight stays one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TILE = 640
"""Longest side of a tile in pixels."""
OVERLAP = 64
"""Fewest pixels that neighbouring tiles share."""
ALIGNMENT = 16
"""Tiles start at multiples of this, like the strides of a network and the blocks of JPEG."""
STEP = 32
"""Tile sizes are multiples of this: each additional size costs OpenVINO some time and memory."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A rectangle of the image, and how much each of its pixels counts in the stitched map."""

    rows: slice
    columns: slice
    row_weights: NDArray[np.float32]
    """(height,), 0 to 1. Over all tiles, the products of both weights sum to one at every pixel."""
    column_weights: NDArray[np.float32]
    """(width,), 0 to 1."""

    @property
    def weights(self) -> NDArray[np.float32]:
        """(height, width) float32, 0 to 1: the weight of each pixel of this tile in the stitched map."""
        return np.outer(self.row_weights, self.column_weights)


def whole(height: int, width: int) -> tuple[Tile]:
    """Return the one tile that is the whole image."""
    return (Tile(slice(0, height), slice(0, width), np.ones(height, np.float32), np.ones(width, np.float32)),)


def plan(height: int, width: int, *, tile: int = TILE, overlap: int = OVERLAP) -> tuple[Tile, ...]:
    """Return the fewest tiles that cover an image, row by row, overlapping by at least `overlap` pixels.

    They start at multiples of `ALIGNMENT` and have the same size, except at the border of the image. They are
    no larger than `overlap` requires: a side of 700 pixels is covered by two tiles of 384, not of 640, so
    that the work grows with the pixels. A side of at most `tile` pixels is covered by one tile. Raises
    `ValueError` unless `overlap` is positive, at most half of `tile`, and both are multiples of `ALIGNMENT`.
    """
    if not 0 < overlap <= tile / 2 or overlap % ALIGNMENT or tile % ALIGNMENT:
        raise ValueError(f"an overlap of {overlap} does not fit tiles of {tile}")
    rows, columns = (_axis(length, tile, overlap) for length in (height, width))
    return tuple(
        Tile(row, column, row_weights, column_weights)
        for (row, row_weights), (column, column_weights) in itertools.product(rows, columns)
    )


def stitch(tiles: Sequence[Tile], maps: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return one map of the whole image, (height, width) float32, from one map per tile in their order."""
    whole = np.zeros((tiles[-1].rows.stop, tiles[-1].columns.stop), np.float32)
    for tile, part in zip(tiles, maps, strict=True):
        whole[tile.rows, tile.columns] += part * tile.weights
    return whole


def _axis(length: int, tile: int, overlap: int) -> list[tuple[slice, NDArray[np.float32]]]:
    spans = _spans(length, tile, overlap)
    weights = [np.ones(span.stop - span.start) for span in spans]
    for (left, left_weights), (right, right_weights) in itertools.pairwise(zip(spans, weights, strict=True)):
        shared = left.stop - right.start
        ramp = _ramp(shared)
        right_weights[:shared] *= ramp
        left_weights[-shared:] *= ramp[::-1]
    total = np.zeros(length)
    for span, weight in zip(spans, weights, strict=True):
        total[span] += weight
    return [
        (span, (weight / total[span]).astype(np.float32)) for span, weight in zip(spans, weights, strict=True)
    ]


def _spans(length: int, tile: int, overlap: int) -> list[slice]:
    if length <= tile:
        return [slice(0, length)]
    # The runtime pads the last tile to a multiple, so that it is aligned as well.
    aligned = _round_up(length, ALIGNMENT)
    count = math.ceil((aligned - overlap) / (tile - overlap))
    size = _round_up((aligned + (count - 1) * overlap) / count, STEP)
    starts = [(aligned - size) * index // (count - 1) // ALIGNMENT * ALIGNMENT for index in range(count)]
    return [slice(start, min(start + size, length)) for start in starts]


def _round_up(value: float, multiple: int) -> int:
    return math.ceil(value / multiple) * multiple


def _ramp(length: int) -> NDArray[np.float64]:
    """Return zeros, a raised cosine, ones. With its mirror image, the ramp sums to one everywhere."""
    guard = length // 4
    rise = (np.arange(length) + 0.5 - guard) / (length - 2 * guard)
    return np.sin(np.pi / 2 * rise.clip(0, 1)) ** 2
