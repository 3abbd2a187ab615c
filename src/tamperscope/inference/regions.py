"""From a heatmap to a mask and its regions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.images.contours import polygon
from tamperscope.report import Box, Region

MOST_REGIONS = 100
REFERENCE_PIXELS = 512 * 512
"""Most pixels that an area's share refers to: traces need pixels, not shares, so an area that is large enough
in a small picture is large enough in a large one.
"""


@dataclass(frozen=True, eq=False)
class MaskedRegions:
    """The manipulated areas of an image."""

    mask: NDArray[np.bool_]
    """(height, width): True where manipulated."""
    regions: tuple[Region, ...]
    """The connected areas of the mask, largest first, `MOST_REGIONS` at most."""
    region_count: int
    """How many connected areas the mask has."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The connected areas of a heatmap above a threshold, and how much each of them weighs."""

    labels: NDArray[np.int32]
    """(height, width): the number of the area, 0 below the threshold."""
    statistics: NDArray[np.int32]
    """(areas + 1, 5): box and size of each, as OpenCV has them."""
    weights: NDArray[np.float64]
    """(areas + 1,): share of `REFERENCE_PIXELS`, or of a smaller image, that an area of probability 1 with as
    much above the threshold would have; infinite for what is certain, and below 0 for the rest of the image.
    """

    def mask(self, smallest_region: float) -> NDArray[np.bool_]:
        """Return (height, width): True in the areas that weigh at least `smallest_region`."""
        kept: NDArray[np.bool_] = (self.weights >= smallest_region)[self.labels]
        return kept


def candidates(
    heatmap: NDArray[np.float32], threshold: float, certain: NDArray[np.bool_] | None = None
) -> Candidates:
    """Return the areas of a heatmap (height, width; 0 to 1) from `threshold` on, connected by 8 neighbours.

    An area that holds a pixel of `certain` (height, width) is not in doubt, whatever its size.
    """
    above = heatmap >= threshold
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(above.view(np.uint8), connectivity=8)
    excess = np.bincount(labels[above], heatmap[above] - threshold, count)
    weights = excess / (min(heatmap.size, REFERENCE_PIXELS) * max(1 - threshold, 1e-6))
    if certain is not None:
        weights[np.unique(labels[certain])] = np.inf
    weights[0] = -1
    return Candidates(labels, statistics, weights)


def outline(
    heatmap: NDArray[np.float32],
    threshold: float,
    smallest_region: float,
    certain: NDArray[np.bool_] | None = None,
) -> MaskedRegions:
    """Cut a heatmap (height, width; 0 to 1) at `threshold` and drop what is too small to mean anything.

    `smallest_region` is the share of the image's pixels, or of `REFERENCE_PIXELS` where it has more, 0 to 1,
    that a connected area needs where its probability is 1; one whose mean is half way down to the threshold
    needs twice as many. `certain` is as for `candidates`.
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
    x, y, width, height, area = statistics[label].tolist()
    window = slice(y, y + height), slice(x, x + width)
    inside = labels[window] == label
    return Region(
        box=Box(x, y, width, height),
        polygon=polygon(inside, (x, y)),
        area_share=area / heatmap.size,
        probability=float(heatmap[window][inside].mean(dtype=np.float64)),
    )
