"""Masks at other resolutions, and conversion between masks and the polygons that a front end draws."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Polygon = tuple[tuple[int, int], ...]
"""Outer contour as (x, y) pixels, simplified to within one pixel."""


def polygon(mask: NDArray[np.bool_], offset: tuple[int, int] = (0, 0)) -> Polygon:
    """Return the outer contour of the largest connected region of a mask (height, width); empty without one.

    `offset` is added to each (x, y). It is the position of the mask's corner in the image.
    """
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=offset
    )
    if not contours:
        return ()
    largest = max(contours, key=cv2.contourArea)
    points = cv2.approxPolyDP(largest, 1.0, True).reshape(-1, 2)
    return tuple((int(x), int(y)) for x, y in points)


def filled(outline: Polygon, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask, (height, width) bool, of what a polygon encloses, its own points included."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.array(outline, np.int32).reshape(-1, 1, 2)], 1)
    return np.asarray(mask > 0)


def fitted(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask, (height, width) bool, of another shape, each pixel as the nearest one of `mask`."""
    if mask.shape == shape:
        return mask
    resized = cv2.resize(mask.view(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint8).view(np.bool_)
