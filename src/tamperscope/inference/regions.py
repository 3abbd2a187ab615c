"""From a heatmap to a mask and its regions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.report import Box, Region

MOST_REGIONS = 100


@dataclass(frozen=True, eq=False)
class Outline:
    """The manipulated areas of an image."""

    mask: NDArray[np.bool_]
    """(height, width): True where manipulated."""
    regions: tuple[Region, ...]
    """The connected areas of the mask, largest first, `MOST_REGIONS` at most."""
    region_count: int
    """How many connected areas the mask has."""


def outline(heatmap: NDArray[np.float32], threshold: float, smallest_region: float) -> Outline:
    """Cut a heatmap (height, width; 0 to 1) at `threshold` and drop what is too small to mean anything.

    `smallest_region` is the share of the image's pixels, 0 to 1, that a connected area (8 neighbours) needs.
    """
    candidates = (heatmap >= threshold).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(candidates, connectivity=8)
    areas = statistics[:, cv2.CC_STAT_AREA]
    kept = areas >= smallest_region * heatmap.size
    kept[0] = False
    largest_first = sorted(np.flatnonzero(kept).tolist(), key=lambda label: -areas[label])
    regions = tuple(_region(label, labels, statistics, heatmap) for label in largest_first[:MOST_REGIONS])
    return Outline(kept[labels], regions, len(largest_first))


def filled(region: Region) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Return the rows and columns of a region's box, and which pixels in it are within its outer contour."""
    box = region.box
    inside = np.zeros((box.height, box.width), np.uint8)
    cv2.fillPoly(inside, [np.array(region.polygon, np.int32)], 1, offset=(-box.x, -box.y))
    return (slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)), inside > 0


def contour(mask: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Return the outer contour of a mask's largest area as (x, y) pixels, to within one pixel.

    `mask` is (height, width), True somewhere.
    """
    return _polygon(mask, offset=(0, 0))


def _region(
    label: int, labels: NDArray[np.int32], statistics: NDArray[np.int32], heatmap: NDArray[np.float32]
) -> Region:
    x, y, width, height, area = statistics[label].tolist()
    window = slice(y, y + height), slice(x, x + width)
    inside = labels[window] == label
    return Region(
        box=Box(x, y, width, height),
        polygon=_polygon(inside, offset=(x, y)),
        area_share=area / heatmap.size,
        probability=float(heatmap[window][inside].mean(dtype=np.float64)),
    )


def _polygon(inside: NDArray[np.bool_], offset: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    contours, _ = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=offset
    )
    polygon = cv2.approxPolyDP(max(contours, key=cv2.contourArea), 1.0, True).reshape(-1, 2)
    return tuple((int(x), int(y)) for x, y in polygon)
