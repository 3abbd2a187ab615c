"""Where exactly one part of an image repeats another: keypoint matches verified pixel by pixel.

The image is warped by the transform that the matches agree on; where it then correlates with itself, it is
repeated (the correlation map of Pan and Lyu 2010, "Region duplication detection using image feature
matching").
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence._self_matching import QUANTISATION_VARIANCE, Gray, Repetition

Mask = NDArray[np.bool_]

CORRELATED = 0.8
"""Correlation from which two windows count as the same."""
SMALLEST_AREA = 50
"""Pixels."""
LARGEST_OVERLAP = 0.1
"""Share of the target that may lie in the source: what lies on itself is a pattern."""
_WINDOW = 9


@dataclass(frozen=True, eq=False)
class RepeatedAreas:
    """Two areas that repeat one another pixel by pixel."""

    source: Mask
    """(height, width)"""
    target: Mask
    """(height, width)"""
    repetition: Repetition
    """What maps the source onto the target."""
    detail: float
    """Median local correlation, up to 1, of what a high-pass filter leaves of both areas."""


def verify(gray: Gray, repetition: Repetition) -> RepeatedAreas | None:
    """Return the areas around the matches that repeat one another pixel by pixel; None if there are none."""
    height, width = gray.shape
    transform = repetition.transform
    low, high = repetition.target.min(0), repetition.target.max(0)
    margin = 32 + 0.3 * (high - low)
    left, top = np.maximum(np.floor(low - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(high + margin) + 1, (width, height)).astype(int)
    copy = gray[top:bottom, left:right]
    original, inside = _brought(gray, transform, (left, top), copy.shape)
    similar = (_correlation(copy, original) > CORRELATED) & inside
    similar = _closed(_opened(similar, 3), 7) & inside
    seeds = np.rint(repetition.target - (left, top)).astype(int)
    area = _connected_to(similar, seeds)
    if area.sum() < SMALLEST_AREA:
        return None
    fine = _correlation(high_pass(copy), high_pass(original))
    detail = float(np.median(fine[area]))
    area = _grown(area, copy, original) & inside
    target = np.zeros(gray.shape, bool)
    target[top:bottom, left:right] = area
    inverse = cv2.invertAffineTransform(transform)
    source = cv2.warpAffine(target.astype(np.uint8), inverse, (width, height), flags=cv2.INTER_NEAREST) > 0
    if (source & target).sum() > LARGEST_OVERLAP * target.sum():
        return None
    return RepeatedAreas(source, target, repetition, detail)


def high_pass(image: Gray) -> Gray:
    """Return the fine detail of an image: what a Gaussian of one pixel takes away."""
    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), 1), np.float32)


def dilated(area: Mask, diameter: int) -> Mask:
    """Return the area and what lies within a disc of `diameter` pixels, odd, around each of its pixels."""
    return np.asarray(cv2.dilate(area.astype(np.uint8), _disc(diameter)) > 0)


def eroded(area: Mask, diameter: int) -> Mask:
    """Return the pixels whose disc of `diameter` pixels, odd, lies in the area; all of a very thin area."""
    inner = cv2.erode(area.astype(np.uint8), _disc(diameter)) > 0
    return np.asarray(inner) if inner.any() else area


def _brought(
    gray: Gray, transform: NDArray[np.float64], corner: tuple[int, int], shape: tuple[int, ...]
) -> tuple[Gray, Mask]:
    """Return what `transform` brings into the window at `corner`, and where that lies inside the image."""
    linear = transform[:, :2]
    shrinking = float(1 / np.sqrt(abs(np.linalg.det(linear))))
    if shrinking > 1.2:
        gray = cv2.GaussianBlur(gray, (0, 0), 0.5 * np.sqrt(shrinking**2 - 1))
    local = np.column_stack([linear, transform[:, 2] - corner])
    size = shape[1], shape[0]
    inside = cv2.warpAffine(np.ones(gray.shape, np.uint8), local, size, flags=cv2.INTER_NEAREST) > 0
    return cv2.warpAffine(gray, local, size, flags=cv2.INTER_CUBIC), inside


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


def _connected_to(area: Mask, seeds: NDArray[np.int_]) -> Mask:
    """Keep the connected parts of `area` that hold one of `seeds`, (seeds, 2) x and y."""
    _, labels = cv2.connectedComponents(area.astype(np.uint8))
    x, y = np.clip(seeds, 0, (area.shape[1] - 1, area.shape[0] - 1)).T
    return np.asarray(area & np.isin(labels, labels[y, x]))


def _grown(area: Mask, copy: Gray, original: Gray) -> Mask:
    """Take in the border, where the window of the correlation reaches beyond the copy: equal pixels count."""
    difference = cv2.blur(np.abs(copy - original), (3, 3))
    typical = float(difference[area].mean())
    border = dilated(area, _WINDOW + 4) & (difference < typical + 1)
    return _filled(_opened(area | border, 3))


def _filled(area: Mask) -> Mask:
    contours, _ = cv2.findContours(area.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(area.shape, np.uint8), contours, -1, 1, cv2.FILLED)
    return np.asarray(filled > 0)


def _opened(area: Mask, diameter: int) -> Mask:
    return np.asarray(cv2.morphologyEx(area.astype(np.uint8), cv2.MORPH_OPEN, _disc(diameter)) > 0)


def _closed(area: Mask, diameter: int) -> Mask:
    return np.asarray(cv2.morphologyEx(area.astype(np.uint8), cv2.MORPH_CLOSE, _disc(diameter)) > 0)


def _disc(diameter: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)), np.uint8)
