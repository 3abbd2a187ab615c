"""Whether an image was drawn, like screenshots and diagrams, rather than photographed.

What is known about photos, such as that noise never repeats, does not hold for what a program has drawn.
Plain colours reveal a drawing: a few of them fill much of it, and the rest, such as writing and symbols, lies
close to them. A photo has noise nearly everywhere. Where noise is clipped or lost to compression, in a sky or
a dark room, the rest lies further away.
"""

from __future__ import annotations

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
_REACH = 7


def is_drawn(pixels: NDArray[np.uint8]) -> bool:
    """Return whether an RGB image, (height, width, 3) uint8, is a drawing or a cut-out on plain colour."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    flat = plain(gray)
    levels = np.bincount(gray[flat], minlength=256)
    common = np.zeros(256, bool)
    common[np.argsort(levels)[-COLOURS:]] = True
    filled = flat & common[gray]
    if filled.mean() < FILLED:
        return False
    around = cv2.dilate(filled.astype(np.uint8), np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)) > 0
    return bool((around & ~filled).sum() >= CLOSE_BY * (~filled).sum())


def plain(gray: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where an image is plain: levels in the 3 x 3 pixels around differ by at most one.

    `gray` is (height, width), 0 to 255. The result is (height, width) bool.
    """
    square = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(gray, square), cv2.erode(gray, square)) <= 1)
