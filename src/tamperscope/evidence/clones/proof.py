"""What tells a copy from a lookalike: a copy repeats the noise of its source, a lookalike only its structure.

Windows, letters, products on a shelf and printed cloth look alike, and their edges correlate. But each of
them was lit and photographed by itself, so its brightness differs a little, and its noise differs entirely.
Noise is compared where gradients are small, because no structure is left there that could correlate.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tamperscope.evidence.clones.keypoints import QUANTISATION_VARIANCE, Gray
from tamperscope.evidence.clones.verification import Mask, RepeatedRegions

TERMS = (
    "log matches",
    "no keypoints",
    "outline length",
    "brightness offset",
    "gradient",
    "quiet gradient",
    "scale",
    "difference",
    "noise peak",
    "coarse noise",
    "noise level",
)
"""What the strength of a pair is weighed from, in the order of `terms`."""
WEIGHTS = (0.121, -0.048, -2.155, -0.741, -3.124, 1.403, 5.719, -2.095, 1.631, 2.408, -0.465)
INTERCEPT = -0.326
"""For a strength of `NOTABLE` in one authentic picture of 200."""

LEAST_PEAK = 0.06
"""Noise peak without which nothing shows that a pair is a copy, however alike its regions are."""
_LEAST_DIFFERENCE = -3.0
"""Below it, only the compression tells how exact a copy is."""
LEAST_CONTRAST = 3.5
"""Standard deviation, in grey levels, from which a region is more than blank. What compression leaves of
paper repeats by chance. Parts that repeat bit by bit may be blank."""
FEWEST_PIXELS = 20
"""Smallest region that can be compared."""
_MARGIN = 12
"""Pixels around the copy that the filters reach."""
_CLIPPED_AT = 3.0
"""Robust standard deviations at which noise is clipped, so that single pixels do not decide."""
_REACH = 3
"""Pixels by which the copy is shifted, to see whether noise correlates at its place alone."""
_NEXT = 1
"""Pixels within which neighbouring noise correlates by itself."""
_MOST_PIXELS = 20_000
"""Pixels by which quantiles, and correlations at several shifts, are judged, evenly selected from larger
regions. The standard error of a correlation is 0.007."""


def strength(pair: RepeatedRegions, gray: Gray) -> float:
    """Return how certainly a pair is a copy, 0 to 1; pairs in authentic photos hardly ever reach `NOTABLE`.

    A logistic regression of copies against lookalikes, fitted by `benchmarks/fit_clones.py`. Its intercept is
    lowered for the false-alarm rate. `gray` is (height, width) float32, 0 to 255.
    """
    found = terms(pair, gray)
    if found is None or not proved(found):
        return 0.0
    return float(1 / (1 + np.exp(-(np.dot(WEIGHTS, found) + INTERCEPT))))


def proved(terms: tuple[float, ...]) -> bool:
    """Return whether noise that both regions have in common shows that one is a copy."""
    return terms[TERMS.index("noise peak")] > LEAST_PEAK


def terms(pair: RepeatedRegions, gray: Gray) -> tuple[float, ...] | None:
    """Return what the strength of a pair is weighed from, as `TERMS` names it.

    Return None if it is too small or nearly blank.
    """
    sides = _side_by_side(pair, gray)
    if sides is None:
        return None
    inside, copy, source = sides.inside, sides.copy, sides.source
    if copy[inside].std() < LEAST_CONTRAST and pair.repetition.likeness < 1:
        return None
    gradient = _gradient((copy + source) * np.float32(0.5))
    quiet_below, half_below = np.quantile(_some(gradient[inside]), (0.25, 0.5))
    quiet, half = inside & (gradient <= quiet_below), inside & (gradient <= half_below)
    noise = _Noise.of(sides, quiet)
    level = _deviation((copy - cv2.GaussianBlur(copy, (0, 0), 1.0))[quiet])
    difference = np.log(float(np.median(_some(np.abs(copy - source)[inside]))) + 0.05)
    repetition = pair.repetition
    return (
        float(np.log(repetition.matches)),
        float(not repetition.by_keypoints),
        float(np.log(pair.outline.length)),
        float(np.log(abs(float((copy - source)[inside].mean())) + 0.3)),
        float(np.log(half_below + 0.05)),
        float(np.log(quiet_below + 0.05)),
        abs(float(np.log(np.sqrt(abs(np.linalg.det(repetition.transform[:, :2])))))),
        max(float(difference - np.log(float(copy[inside].std()) + 0.1)), _LEAST_DIFFERENCE),
        noise.peak(half),
        noise.likeness(quiet),
        min(float(np.log(level)), 0.5),
    )


@dataclass(frozen=True, eq=False)
class _Sides:
    """A copy and its source, side by side in a window."""

    copy: Gray
    source: Gray
    """As the transform lays it over the copy."""
    inside: Mask
    """(height, width) bool: the copy, where both are there."""


def _side_by_side(pair: RepeatedRegions, gray: Gray) -> _Sides | None:
    height, width = gray.shape
    x, y, across, down = cv2.boundingRect(pair.target.astype(np.uint8))
    top, left = max(0, y - _MARGIN), max(0, x - _MARGIN)
    bottom, right = min(height, y + down + _MARGIN), min(width, x + across + _MARGIN)
    transform = pair.repetition.transform
    local = np.column_stack([transform[:, :2], transform[:, 2] - (left, top)])
    size = right - left, bottom - top
    # Interpolation would smooth the noise of what was moved by whole pixels.
    way = cv2.INTER_NEAREST if pair.repetition.whole_pixels else cv2.INTER_CUBIC
    there = cv2.warpAffine(np.ones(gray.shape, np.uint8), local, size, flags=cv2.INTER_NEAREST) > 0
    target = pair.target[top:bottom, left:right] & there
    inner = cv2.erode(target.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inside = np.asarray(inner if inner.sum() >= 2 * FEWEST_PIXELS else target)
    if inside.sum() < FEWEST_PIXELS:
        return None
    source = np.asarray(cv2.warpAffine(gray, local, size, flags=way), np.float32)
    return _Sides(gray[top:bottom, left:right], source, inside)


def _gradient(plane: Gray) -> Gray:
    smooth = cv2.GaussianBlur(plane, (0, 0), 1.0)
    across, down = cv2.Sobel(smooth, -1, 1, 0, scale=1 / 8), cv2.Sobel(smooth, -1, 0, 1, scale=1 / 8)
    return np.asarray(cv2.blur(np.hypot(across, down), (5, 5)), np.float32)


@dataclass(frozen=True, eq=False)
class _Noise:
    """What a low-pass filter leaves of both sides, clipped."""

    copy: Gray
    source: Gray

    @classmethod
    def of(cls, sides: _Sides, quiet: Mask) -> _Noise:
        """Return what a Gaussian of two pixels leaves, clipped by its level where the scene is quiet."""
        left = [plane - cv2.GaussianBlur(plane, (0, 0), 2.0) for plane in (sides.copy, sides.source)]
        limits = [_CLIPPED_AT * _deviation(plane[quiet]) for plane in left]
        return cls(*(np.clip(plane, -limit, limit) for plane, limit in zip(left, limits, strict=True)))

    def likeness(self, where: Mask) -> float:
        """Return the correlation of the noise, on Fisher's scale, -0.3 to 2.1."""
        (correlation,) = _correlations(self.copy[where], self.source[where][None])
        return float(np.arctanh(np.clip(correlation, -0.3, 0.97)))

    def peak(self, where: Mask) -> float:
        """Return by how much the noise correlates more at its place than when shifted by some pixels."""
        where = where.copy()
        where[:_REACH] = where[-_REACH:] = where[:, :_REACH] = where[:, -_REACH:] = False
        rows, columns = np.nonzero(where)
        if len(rows) < 1.5 * FEWEST_PIXELS:
            return 0.0
        some = slice(None, None, -(-len(rows) // _MOST_PIXELS))
        rows, columns = rows[some], columns[some]
        width = self.source.shape[1]
        shifts = np.arange(-_REACH, _REACH + 1)
        far = np.maximum(abs(shifts[:, None]), abs(shifts)) > _NEXT
        elsewhere = (width * shifts[:, None] + shifts)[far]
        places = rows * width + columns
        shifted = self.source.ravel()[np.append(0, elsewhere)[:, None] + places]
        here, *others = _correlations(self.copy[rows, columns], shifted)
        return float(here - max(others))


def _some(values: Gray) -> Gray:
    """Return at most `_MOST_PIXELS` of the values, (pixels,), evenly selected."""
    # An odd step visits every place within the blocks of a JPEG.
    return values[:: -(-values.size // _MOST_PIXELS) | 1]


def _deviation(values: Gray) -> float:
    """Return a robust standard deviation, by the median."""
    values = _some(values)
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) + 1e-3


def _correlations(values: Gray, others: Gray) -> Gray:
    """Return (rows,): the correlation of values, (pixels,), with those of each row, (rows, pixels)."""
    values, others = values - values.mean(), others - others.mean(axis=1, keepdims=True)
    power = values @ values / values.size + QUANTISATION_VARIANCE
    powers = np.einsum("ij,ij->i", others, others) / values.size + QUANTISATION_VARIANCE
    return np.asarray(others @ values / values.size / np.sqrt(power * powers), np.float32)
