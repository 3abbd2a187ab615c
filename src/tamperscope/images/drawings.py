"""Whether a picture was drawn, as screenshots and diagrams are, rather than photographed.

What is known of photographs, such as that noise never repeats, says nothing about what a program has drawn.
A drawing shows by its plain colours: much of it is filled with a few of them, and what is not lies close by,
as writing and symbols do. A photograph has noise nearly everywhere; where that is clipped or lost to
compression, in a sky or a dark room, the rest stands apart.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FILLED = 1 / 3
"""Share of a picture from which it is filled with plain colours."""
COLOURS = 4
"""How many of the commonest count."""
CLOSE_BY = 0.4
"""Share of the rest that lies within `_REACH` pixels of them in a drawing."""
_REACH = 7


def is_drawn(pixels: NDArray[np.uint8]) -> bool:
    """Return whether an RGB image, (height, width, 3), is a drawing, or was cut out along plain colour."""
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
    """Return where a pixel of (height, width), 0 to 255, differs from no neighbour by more than one level."""
    square = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(gray, square), cv2.erode(gray, square)) <= 1)
