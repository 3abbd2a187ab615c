"""From a heatmap to a mask and its regions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.contours import polygon
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


def outline(
    heatmap: NDArray[np.float32],
    threshold: float,
    smallest_region: float,
    certain: NDArray[np.bool_] | None = None,
) -> Outline:
    """Cut a heatmap (height, width; 0 to 1) at `threshold` and drop what is too small to mean anything.

    `smallest_region` is the share of the image's pixels, 0 to 1, that a connected area (8 neighbours) needs
    where its probability is 1; one whose mean is half way down to the threshold needs twice as many. An area
    that holds a pixel of `certain` (height, width) is not in doubt, whatever its size.
    """
    candidates = (heatmap >= threshold).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(candidates, connectivity=8)
    areas = statistics[:, cv2.CC_STAT_AREA]
    above = np.bincount(labels.ravel(), (heatmap - threshold).ravel(), len(areas))
    kept = above >= smallest_region * heatmap.size * (1 - threshold)
    if certain is not None:
        kept[np.unique(labels[certain])] = True
    kept[0] = False
    largest_first = sorted(np.flatnonzero(kept).tolist(), key=lambda label: -areas[label])
    regions = tuple(_region(label, labels, statistics, heatmap) for label in largest_first[:MOST_REGIONS])
    return Outline(kept[labels], regions, len(largest_first))


def _region(
    label: int, labels: NDArray[np.int32], statistics: NDArray[np.int32], heatmap: NDArray[np.float32]
) -> Region:
    x, y, width, height, area = statistics[label].tolist()
    window = slice(y, y + height), slice(x, x + width)
    inside = labels[window] == label
    return Region(
        box=Box(x, y, width, height),
        polygon=polygon(inside, (x, y)),
        area_share=area / heatmap.size,
        probability=float(heatmap[window][inside].mean(dtype=np.float64)),
    )
