"""Whether an image was drawn, like screenshots and diagrams, rather than photographed.

What is known about photos, such as that noise never repeats, does not hold for what a program has drawn. Two
marks reveal a drawing:

- A few plain colours fill much of it, and the rest, such as writing and symbols, lies close to them. A photo
  has noise nearly everywhere. Where noise is clipped or lost to compression, in a sky or a dark room, the
  rest lies further away.
- Long edges run exactly along the rows or columns beside a plain colour: the frame of a window, a list, or a
  photo on a page. A lens and a hand-held camera hardly ever make such an edge.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FILLED = 1 / 3
"""Share of the image from which it counts as filled with plain colours."""
COLOURS = 4
"""How many of the most common plain colours count."""
CLOSE_BY = 0.4
"""Least share of the rest that lies within `_REACH` pixels of them in a drawing."""
FRAMED = 0.04
"""Least product of the share of plain pixels and the length of straight edges, as a share of the image's
outline, in a drawing: the plainer an image is, the fewer frames it takes."""
FRAMED_PLAIN, FRAMED_EDGES = 0.1, 0.05
"""Least value of either factor."""

_MOST_PIXELS = 4_000_000
"""Of larger images only every second (or third, ...) row and column counts."""
_REACH = 7
_STEP = 6
"""Least difference of levels across a straight edge."""
_STRAIGHT = 0.12
"""Least length of a straight edge, as a share of the image's shorter side."""
_SHORTEST = 40
"""Least length of a straight edge in pixels. Compression makes shorter ones, at the borders of its blocks."""


def is_filled(pixels: NDArray[np.uint8]) -> bool:
    """Return whether a few plain colours fill an RGB image, (height, width, 3) uint8, as in writing."""
    gray = _gray(pixels)
    flat = plain(gray)
    levels = np.bincount(gray[flat], minlength=256)
    common = np.zeros(256, bool)
    common[np.argsort(levels)[-COLOURS:]] = True
    filled = flat & common[gray]
    if filled.mean() < FILLED:
        return False
    around = cv2.dilate(filled.astype(np.uint8), np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)) > 0
    return bool((around & ~filled).sum() >= CLOSE_BY * (~filled).sum())


def is_framed(pixels: NDArray[np.uint8]) -> bool:
    """Return whether an RGB image, (height, width, 3) uint8, shows straight frames on plain colour.

    So do windows, lists, and pages with photos.
    """
    gray = _gray(pixels)
    flat = plain(gray)
    share = float(flat.mean())
    if share < FRAMED_PLAIN:
        return False
    edges = _straight_edges(gray, flat)
    return edges >= FRAMED_EDGES and share * edges >= FRAMED


def plain(gray: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where an image is plain: levels in the 3 x 3 pixels around differ by at most one.

    `gray` is (height, width), 0 to 255. The result is (height, width) bool.
    """
    square = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(gray, square), cv2.erode(gray, square)) <= 1)


def _gray(pixels: NDArray[np.uint8]) -> NDArray[Any]:
    spacing = math.ceil(math.sqrt(pixels.shape[0] * pixels.shape[1] / _MOST_PIXELS))
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[::spacing, ::spacing]), cv2.COLOR_RGB2GRAY))


def _straight_edges(gray: NDArray[Any], flat: NDArray[np.bool_]) -> float:
    """Return the length of the edges exactly along rows or columns, as a share of the image's outline."""
    least = max(_SHORTEST, int(_STRAIGHT * min(gray.shape)))
    along_rows = _edges_along_rows(gray, flat, least)
    along_columns = _edges_along_rows(np.ascontiguousarray(gray.T), np.ascontiguousarray(flat.T), least)
    return (along_rows + along_columns) / (2 * sum(gray.shape))


def _edges_along_rows(gray: NDArray[Any], flat: NDArray[np.bool_], least: int) -> int:
    """Return how many pixels lie on edges of `least` pixels or more that run exactly along a row."""
    edge = cv2.absdiff(gray[1:], gray[:-1]) >= _STEP
    # The 3 x 3 pixels that have to be plain must not touch the edge.
    beside = np.zeros_like(edge)
    beside[2:] |= flat[:-3]
    beside[:-3] |= flat[3:-1]
    runs = cv2.morphologyEx((edge & beside).astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, least), np.uint8))
    return int(np.count_nonzero(runs))
