"""Conversion of a heatmap to a mask and its regions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.images.contours import polygon
from tamperscope.interruption import checkpoint
from tamperscope.report import Box, Region

MOST_REGIONS = 100
REFERENCE_PIXELS = 512 * 512
"""Most pixels that the share of a region refers to. Traces need pixels, not shares, so a region that is large
enough in a small image is large enough in a large one.
"""
_STRIP = 1024
"""Rows whose regions are summed at a time."""


@dataclass(frozen=True, eq=False)
class MaskedRegions:
    """The manipulated regions of an image."""

    mask: NDArray[np.bool_]
    """(height, width): True where manipulated."""
    regions: tuple[Region, ...]
    """The connected regions of the mask, largest first, at most `MOST_REGIONS`."""
    region_count: int
    """How many connected regions the mask has."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The connected regions of a heatmap at or above a threshold, and the weight of each."""

    labels: NDArray[np.int32]
    """(height, width): the number of the region, 0 below the threshold."""
    statistics: NDArray[np.int32]
    """(regions + 1, 5): box and area of each, as OpenCV returns them."""
    weights: NDArray[np.float64]
    """(regions + 1,): share of `REFERENCE_PIXELS`, or of a smaller image, that a region of probability 1 with
    the same sum above the threshold would have. Infinite for certain regions, negative for the rest of the
    image.
    """

    def mask(self, smallest_region: float) -> NDArray[np.bool_]:
        """Return (height, width) bool: True in the regions that weigh at least `smallest_region`."""
        kept: NDArray[np.bool_] = (self.weights >= smallest_region)[self.labels]
        return kept


def candidates(
    heatmap: NDArray[np.float32], threshold: float, certain: NDArray[np.bool_] | None = None
) -> Candidates:
    """Return the regions of a heatmap (height, width; 0 to 1) cut at `threshold`, connected by 8 neighbours.

    A region that contains a pixel of `certain`, (height, width) bool, is certain whatever its size.
    """
    above = heatmap >= threshold
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(above.view(np.uint8), connectivity=8)
    excess, has_certain = np.zeros(count), np.zeros(count, bool)
    # In strips, because each copy of what is above the threshold may have hundreds of megabytes.
    for top in range(0, len(heatmap), _STRIP):
        rows = slice(top, top + _STRIP)
        inside = above[rows]
        excess += np.bincount(labels[rows][inside], heatmap[rows][inside] - threshold, count)
        if certain is not None:
            has_certain[labels[rows][certain[rows]]] = True
    weights = excess / (min(heatmap.size, REFERENCE_PIXELS) * max(1 - threshold, 1e-6))
    weights[has_certain] = np.inf
    weights[0] = -1
    return Candidates(labels, statistics, weights)


def outline(
    heatmap: NDArray[np.float32],
    threshold: float,
    smallest_region: float,
    certain: NDArray[np.bool_] | None = None,
) -> MaskedRegions:
    """Cut a heatmap (height, width; 0 to 1) at `threshold` and drop regions too small to be meaningful.

    `smallest_region` is a share, 0 to 1, of the image's pixels, or of `REFERENCE_PIXELS` if it has more. A
    connected region of probability 1 needs that share. A region whose mean is halfway down to the threshold
    needs twice as much. `certain` is as for `candidates`.
    """
    found = candidates(heatmap, threshold, certain)
    areas = found.statistics[:, cv2.CC_STAT_AREA]
    kept = np.flatnonzero(found.weights >= smallest_region).tolist()
    largest_first = sorted(kept, key=lambda label: -areas[label])
    regions = tuple(
        _region(label, found.labels, found.statistics, heatmap) for label in largest_first[:MOST_REGIONS]
    )
    return MaskedRegions(found.mask(smallest_region), regions, len(largest_first))


def _region(
    label: int, labels: NDArray[np.int32], statistics: NDArray[np.int32], heatmap: NDArray[np.float32]
) -> Region:
    checkpoint()
    x, y, width, height, area = statistics[label].tolist()
    window = slice(y, y + height), slice(x, x + width)
    inside = labels[window] == label
    return Region(
        box=Box(x, y, width, height),
        polygon=polygon(inside, (x, y)),
        area_share=area / heatmap.size,
        probability=float(heatmap[window][inside].mean(dtype=np.float64)),
    )
