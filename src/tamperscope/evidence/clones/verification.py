"""Where exactly one part of an image repeats another: proposed repetitions verified pixel by pixel.

The image is warped by the transform that the matches agree on. Where the warped image correlates with the
original, it is repeated (the correlation map of Pan and Lyu 2010, "Region duplication detection using image
feature matching").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence.clones.keypoints import QUANTISATION_VARIANCE, Gray, Repetition

Mask = NDArray[np.bool_]

CORRELATED = 0.8
"""Correlation from which two windows count as the same."""
LOOSELY_CORRELATED = 0.7
"""The same for pixels connected to such windows."""
SMALLEST_AREA = 50
"""Pixels."""
LARGEST_OVERLAP = 0.1
"""Largest share of the target that may lie in the source: what overlaps itself is a pattern."""
_WINDOW = 9


@dataclass(frozen=True)
class ShapeStatistics:
    """The shape of the largest part of a region. People cut along simple lines; lookalikes fray."""

    solidity: float
    """Share of its convex hull that it fills, 0 to 1."""
    length: float
    """Length of its outline in units of the square root of its area: 3.5 for a disc, 4 for a square."""


@dataclass(frozen=True, eq=False)
class RepeatedRegions:
    """Two regions that repeat one another pixel by pixel."""

    source: Mask
    """(height, width) bool."""
    target: Mask
    """(height, width) bool."""
    repetition: Repetition
    """The repetition that maps the source onto the target."""

    @property
    def outline(self) -> ShapeStatistics:
        """The shape of the target."""
        contours, _ = cv2.findContours(self.target.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        largest = max(contours, key=cv2.contourArea)
        area = cv2.contourArea(largest) + 1
        return ShapeStatistics(
            solidity=float(area / (cv2.contourArea(cv2.convexHull(largest)) + 1)),
            length=float(cv2.arcLength(largest, closed=True) / np.sqrt(area)),
        )


def verify(gray: Gray, repetition: Repetition) -> RepeatedRegions | None:
    """Return the regions around the matches that repeat one another pixel by pixel; None if there are none.

    `gray` is (height, width) float32, 0 to 255.
    """
    height, width = gray.shape
    transform = repetition.transform
    low, high = repetition.target.min(0), repetition.target.max(0)
    margin = 32 + 0.3 * (high - low)
    left, top = np.maximum(np.floor(low - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(high + margin) + 1, (width, height)).astype(int)
    copy = gray[top:bottom, left:right]
    original, inside = warped(gray, transform, (left, top), copy.shape)
    correlation = _correlation(copy, original)
    seeds = np.rint(repetition.target - (left, top)).astype(int)
    certain = _connected_to(_closed(_opened((correlation > CORRELATED) & inside, 3), 7) & inside, seeds)
    # Parts that strong compression spoilt also belong to the copy, if they are connected to it.
    region = _closed(_opened((correlation > LOOSELY_CORRELATED) & inside, 5) | certain, 7) & inside
    region = _connected_to(region, np.argwhere(certain)[:, ::-1])
    if region.sum() < SMALLEST_AREA:
        return None
    target = _without_specks(_grown(region, copy, original) & inside)
    inverse = cv2.invertAffineTransform(transform)
    across, down = _covered(target, (left, top), inverse, gray.shape)
    local = np.column_stack(
        [inverse[:, :2], inverse[:, :2] @ (left, top) + inverse[:, 2] - (across.start, down.start)]
    )
    size = across.stop - across.start, down.stop - down.start
    source = _without_specks(
        cv2.warpAffine(target.astype(np.uint8), local, size, flags=cv2.INTER_NEAREST) > 0
    )
    if min(np.count_nonzero(source), np.count_nonzero(target)) < SMALLEST_AREA:
        return None
    regions = np.zeros((2, *gray.shape), bool)
    regions[0, down, across], regions[1, top:bottom, left:right] = source, target
    overlap = np.count_nonzero(regions[0, top:bottom, left:right] & target)
    if overlap > LARGEST_OVERLAP * np.count_nonzero(target):
        return None
    return RepeatedRegions(regions[0], regions[1], repetition)


def _covered(
    region: Mask, corner: tuple[int, int], transform: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """Return the columns and rows, within `shape`, that a region at `corner`, (x, y), is moved to."""
    x, y, width, height = cv2.boundingRect(region.astype(np.uint8))
    corners = np.add([(x, y), (x + width, y), (x, y + height), (x + width, y + height)], corner)
    moved = corners @ transform[:, :2].T + transform[:, 2]
    low = np.clip(np.floor(moved.min(0)).astype(int) - 1, 0, shape[::-1])
    high = np.clip(np.ceil(moved.max(0)).astype(int) + 2, low + 1, np.maximum(shape[::-1], low + 1))
    return slice(low[0], high[0]), slice(low[1], high[1])


def warped(
    image: NDArray[Any], transform: NDArray[np.float64], corner: tuple[int, int], shape: tuple[int, ...]
) -> tuple[NDArray[Any], Mask]:
    """Return what `transform` maps into the window at `corner`, (x, y), and where the image covers it.

    `image` is (height, width) or (height, width, channels). The result has its dtype and the window's
    `shape`.
    """
    linear = transform[:, :2]
    shrinking = float(1 / np.sqrt(abs(np.linalg.det(linear))))
    whole = np.ones(image.shape[:2], np.uint8)
    if shrinking > 1.2:
        image = cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(shrinking**2 - 1))
    local = np.column_stack([linear, transform[:, 2] - corner])
    size = shape[1], shape[0]
    inside = cv2.warpAffine(whole, local, size, flags=cv2.INTER_NEAREST) > 0
    return cv2.warpAffine(image, local, size, flags=cv2.INTER_CUBIC), inside


def high_pass(image: Gray) -> Gray:
    """Return the fine detail of an image: what a Gaussian blur with a sigma of one pixel removes."""
    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), 1), np.float32)


def dilated(region: Mask, diameter: int) -> Mask:
    """Return a region dilated by a disc of `diameter` pixels, which must be odd."""
    return np.asarray(cv2.dilate(region.astype(np.uint8), _disc(diameter)) > 0)


def eroded(region: Mask, diameter: int) -> Mask:
    """Return a region eroded by a disc of `diameter` pixels, odd; unchanged if nothing would remain."""
    inner = cv2.erode(region.astype(np.uint8), _disc(diameter)) > 0
    return np.asarray(inner) if inner.any() else region


def _correlation(first: Gray, second: Gray) -> Gray:
    """Return the correlation, -1 to 1, of two images in the window around each pixel."""
    means = [_mean(image) for image in (first, second)]
    variances = [
        np.maximum(_mean(image * image) - mean * mean, 0) + QUANTISATION_VARIANCE
        for image, mean in zip((first, second), means, strict=True)
    ]
    covariance = _mean(first * second) - means[0] * means[1]
    return np.asarray(covariance / np.sqrt(variances[0] * variances[1]), np.float32)


def _mean(image: Gray) -> Gray:
    return np.asarray(cv2.boxFilter(image, -1, (_WINDOW, _WINDOW)), np.float32)


def _connected_to(region: Mask, seeds: NDArray[np.int_]) -> Mask:
    """Keep the connected parts of a region that contain one of `seeds`, (seeds, 2): x and y."""
    _, labels = cv2.connectedComponents(region.astype(np.uint8))
    x, y = np.clip(seeds, 0, (region.shape[1] - 1, region.shape[0] - 1)).T
    return np.asarray(region & np.isin(labels, labels[y, x]))


def _without_specks(region: Mask) -> Mask:
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    large = statistics[:, cv2.CC_STAT_AREA] >= SMALLEST_AREA
    large[0] = False
    return np.asarray(large[labels])


def _grown(region: Mask, copy: Gray, original: Gray) -> Mask:
    """Add equal pixels at the border, where the correlation window reaches beyond the copy."""
    difference = cv2.blur(np.abs(copy - original), (3, 3))
    typical = float(difference[region].mean())
    border = dilated(region, _WINDOW + 4) & (difference < typical + 1)
    return _filled(_opened(region | border, 3))


def _filled(region: Mask) -> Mask:
    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(region.shape, np.uint8), contours, -1, 1, cv2.FILLED)
    return np.asarray(filled > 0)


def _opened(region: Mask, diameter: int) -> Mask:
    return np.asarray(cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_OPEN, _disc(diameter)) > 0)


def _closed(region: Mask, diameter: int) -> Mask:
    return np.asarray(cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_CLOSE, _disc(diameter)) > 0)


def _disc(diameter: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)), np.uint8)
