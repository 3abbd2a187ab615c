"""Shifts by which an image repeats itself pixel for pixel: peaks of its whitened autocorrelation.

Copies that were neither rotated nor scaled are found by the autocorrelation of the high-pass filtered image,
as Fridrich, Soukal and Lukas proposed ("Detection of copy-move forgery in digital images", DFRWS 2003). The
spectrum is divided by its own neighbourhood, so that neither the scene's typical spectrum nor a fence drowns
a copy. The search also finds copies without keypoints, and costs two Fourier transforms. It is repeated for
the mirrored image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from tamperscope.evidence.clones.keypoints import ALIKE, NEAREST_COPY, QUANTISATION_VARIANCE, Gray, Repetition

MOST_PEAKS = 12
"""Highest peaks that are examined, for the plain and for the mirrored image."""
LOWEST_PEAK = 4.5
"""In standard deviations of the autocorrelation."""
FEWEST_PLACES = 6
_STEP = 8
"""Spacing, in pixels, of the places where a shifted image is compared with itself."""
_WINDOW = 15
_SPECTRUM_WINDOW = 31
_AXIS = 3
"""How many of the lowest frequencies, across and down, are ignored."""
_HIGHEST_LINE = 3.0
"""Largest ratio of a frequency to its neighbourhood; stronger ones are capped."""


def find_shifts(gray: Gray) -> Iterator[Repetition]:
    """Yield shifts by whole pixels, plain or mirrored left to right, with the places that repeat.

    `gray` is (height, width) float32, 0 to 255.
    """
    detail = gray - cv2.GaussianBlur(gray, (0, 0), 1.5)
    whitened = _whitened(detail)
    plane = _Plane(detail, _mean(detail * detail) + QUANTISATION_VARIANCE)
    for mirrored in (False, True):
        other = plane.mirrored() if mirrored else plane
        for shift in _peaks(_autocorrelation(whitened, mirrored), mirrored):
            yield from _places(plane, other, shift, mirrored)


class _Plane(NamedTuple):
    """The fine detail of an image, and its mean square in the window around each pixel."""

    detail: Gray
    power: Gray

    def mirrored(self) -> _Plane:
        return _Plane(*(np.ascontiguousarray(plane[:, ::-1]) for plane in self))


def _mean(plane: Gray) -> Gray:
    return np.asarray(cv2.boxFilter(plane, -1, (_WINDOW, _WINDOW)), np.float32)


def _whitened(detail: Gray) -> Gray:
    """Even out the contrast, so that smooth regions count as well, but not their rounding errors."""
    deviation = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 6)) + 1
    return np.asarray(detail / deviation, np.float32)


def _autocorrelation(detail: Gray, mirrored: bool) -> Gray:
    """Return the circular correlation of an image with itself or its mirror image, with shift 0 at [0, 0].

    The spectrum is divided by the mean of its neighbourhood.
    """
    size = [cv2.getOptimalDFTSize(side) for side in detail.shape]
    spectrum = np.fft.rfft2(detail, size)
    spectrum *= np.conj(np.fft.rfft2(detail[:, ::-1], size) if mirrored else spectrum)
    magnitude = np.abs(spectrum)
    relative = magnitude / (cv2.blur(magnitude, (_SPECTRUM_WINDOW, _SPECTRUM_WINDOW)) + 1e-6)
    weight = np.minimum(relative, _HIGHEST_LINE) / (magnitude + 1e-6)
    # Straight horizontal and vertical edges repeat along themselves.
    weight[:_AXIS] = weight[1 - _AXIS :] = weight[:, :_AXIS] = 0
    return np.asarray(np.fft.irfft2(spectrum * weight, size), np.float32)


def _peaks(correlation: Gray, mirrored: bool) -> Iterator[tuple[int, int]]:
    """Yield the shifts (down, right) at the highest peaks, each in all variants modulo the image size."""
    height, width = correlation.shape
    if not mirrored:
        # A shift and its opposite are the same pair of regions.
        correlation[height // 2 + 1 :] = 0
        rows, columns = (np.minimum(np.arange(side), side - np.arange(side)) for side in (height, width))
        correlation[rows[:, None] ** 2 + columns**2 < NEAREST_COPY**2] = 0
    lowest = LOWEST_PEAK * float(np.sqrt(np.square(correlation).mean()))
    peaks = (correlation > lowest) & (correlation == cv2.dilate(correlation, np.ones((3, 3), np.uint8)))
    found = np.flatnonzero(peaks)
    for place in found[np.argsort(-correlation.ravel()[found], kind="stable")][:MOST_PEAKS]:
        down, right = divmod(int(place), width)
        for y in (down, down - height):
            for x in (right, right - width):
                yield y, x


def _places(plane: _Plane, other: _Plane, shift: tuple[int, int], mirrored: bool) -> Iterator[Repetition]:
    """Yield the connected regions in which `plane` equals `other`, the same or the mirror image, shifted."""
    (top, left), (height, width) = np.maximum(shift, 0), plane.detail.shape
    bottom, right = height + min(shift[0], 0), width + min(shift[1], 0)
    if bottom - top < _WINDOW or right - left < _WINDOW:
        return
    here = np.s_[top:bottom, left:right]
    there = np.s_[top - shift[0] : bottom - shift[0], left - shift[1] : right - shift[1]]
    grid = np.s_[_WINDOW // 2 :: _STEP, _WINDOW // 2 :: _STEP]
    product = _mean(plane.detail[here] * other.detail[there])[grid]
    likeness = product / np.sqrt(plane.power[here][grid] * other.power[there][grid])
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((likeness > ALIKE).astype(np.uint8))
    for label in np.flatnonzero(boxes[:, cv2.CC_STAT_AREA] >= FEWEST_PLACES):
        if label == 0:
            continue
        down, across = np.nonzero(labels == label)
        target = np.stack([across, down], 1) * _STEP + _WINDOW // 2 + (left, top)
        source = target - (shift[1], shift[0])
        transform = np.array([[1.0, 0, shift[1]], [0, 1, shift[0]]])
        if mirrored:
            source[:, 0] = width - 1 - source[:, 0]
            transform[0] = -1, 0, width - 1 + shift[1]
        yield Repetition(
            transform,
            source.astype(np.float32),
            target.astype(np.float32),
            float(np.median(likeness[labels == label])),
            by_keypoints=False,
        )
