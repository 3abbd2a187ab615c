"""Resampling: regions that were scaled on their own, detected by the period that interpolation leaves.

Interpolated pixels are linear combinations of their neighbours at regular positions. The residue of a fixed
linear predictor is therefore periodic along rows and columns (Kirchner, "Fast and reliable resampling
detection by spectral analysis of fixed linear predictor residue", ACM MM&Sec 2008, after Popescu and Farid
2005). Averaging over a window brings the period out (Gallagher, "Detection of linear and cubic interpolation
in JPEG compressed images", CRV 2005). An image that was scaled as a whole has the same period everywhere, so
only a period that other windows lack counts.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence.strength import strength
from tamperscope.images import Image
from tamperscope.interruption import checkpoint
from tamperscope.report import NOTABLE, Evidence, Explanation, percent

NAME = "resampling"
EXPLANATION = Explanation(
    what_you_see="Regions whose pixels were interpolated with a period that the rest of the picture lacks.",
    what_it_can_mean="The region was scaled before it was placed there.",
    what_it_cannot="Strong downscaling, and compression after scaling, erase the period. Regular textures "
    "such as fabric, grilles and screens have periods of their own. A picture that was scaled as a whole "
    "shows the same period everywhere; this is not a manipulation and is not marked.",
)
NOTABLE_AT = 62.0
"""Power of a window's period, beyond that of other windows, from which evidence is notable."""

_WINDOW = 128
"""Side of the windows in pixels: a multiple of 8, so that JPEG's frequencies are whole numbers."""
_STEP = 32
_FEWEST_WINDOWS = 9
_LOWEST_FREQUENCY = 10
"""Cycles per window. Below it, the scene itself varies."""
_ROWS_AT_ONCE = 8
"""Rows of windows that are measured at a time, to bound the memory."""
_NEIGHBOURHOOD = 11
"""Number of frequencies whose median a peak is compared with."""
_PERIODIC = 10.0
"""Power from which a window probably has a period."""
_COMMON = 0.4
"""Share of the windows with the same period above which it is the period of the whole image."""
_TIMES_USUAL = 8.0
"""Multiple of the median power at a frequency that chance explains."""
_LARGEST_STEP = 6
"""Mean quantisation step of the lower frequencies above which a JPEG shows no period but its own."""


class _Windows(NamedTuple):
    """The overlapping windows of an image."""

    corners: tuple[NDArray[np.intp], NDArray[np.intp]]
    """Rows and columns at which they begin."""
    power: NDArray[np.float32]
    """(down, across, 2, frequencies): along the rows, then along the columns; 1 is the usual power."""


def measure(image: Image) -> Evidence:
    """Return whether windows have a period that the others lack.

    The map has the image's `map_shape`: float32, 0 to 1, the mean strength of that period in the windows that
    contain a place.
    """
    if image.jpeg is not None and image.jpeg.quantisation_tables[0][:4, :4].mean() > _LARGEST_STEP:
        return _not_applicable(
            "The picture is compressed too strongly to show the period of an interpolation."
        )
    corners = tuple(np.arange(0, side - _WINDOW + 1, _STEP) for side in (image.height, image.width))
    if len(corners[0]) * len(corners[1]) < _FEWEST_WINDOWS:
        return _not_applicable("The picture is too small to compare the periods of its regions.")
    luminance = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)
    windows = _Windows((corners[0], corners[1]), _power(luminance, corners[0], corners[1]))
    excess = _excess(windows.power)
    peak = excess.max(axis=2)
    found = strength(float(peak.max()), NOTABLE_AT)
    return Evidence(NAME, EXPLANATION, _finding(found, excess), found, _pixel_map(peak, windows, image))


def _not_applicable(reason: str) -> Evidence:
    return Evidence(NAME, EXPLANATION, reason, None)


def _p_map(luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how well each pixel is predicted from its neighbours, 0 to 1 (Kirchner's p-map)."""
    predictor = np.array([[-0.25, 0.5, -0.25], [0.5, 0, 0.5], [-0.25, 0.5, -0.25]], np.float32)
    error = luminance - cv2.filter2D(luminance, -1, predictor)
    return np.asarray(np.exp(-np.square(error / 4)), np.float32)


def _power(
    luminance: NDArray[np.uint8], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the power of each window's mean row and mean column, relative to neighbouring frequencies.

    The result is (down, across, 2, frequencies) float32.
    """
    strips = []
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        checkpoint()
        taken = rows[first : first + _ROWS_AT_ONCE]
        # The prediction of a pixel reaches one row further.
        top = max(0, int(taken[0]) - 1)
        plane = _p_map(luminance[top : int(taken[-1]) + _WINDOW + 1].astype(np.float32))
        strips.append(_power_in_strip(plane, taken - top, columns))
    return np.concatenate(strips)


def _power_in_strip(
    plane: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float32]:
    profiles = np.stack(
        [
            [
                (
                    plane[row : row + _WINDOW, column : column + _WINDOW].mean(0),
                    plane[row : row + _WINDOW, column : column + _WINDOW].mean(1),
                )
                for column in columns
            ]
            for row in rows
        ]
    )
    smooth = cv2.blur(profiles.reshape(-1, _WINDOW), (5, 1)).reshape(profiles.shape)
    spectrum = np.abs(np.fft.rfft((profiles - smooth) * np.hanning(_WINDOW), axis=-1)) ** 2
    reach = _NEIGHBOURHOOD // 2
    padded = np.pad(spectrum, [(0, 0)] * 3 + [(reach, reach)], mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURHOOD, axis=-1)
    power = spectrum / (np.median(around, axis=-1) + 1e-9)
    power[..., :_LOWEST_FREQUENCY] = 0
    grid = np.arange(0, _WINDOW // 2 + 1, _WINDOW // 8)
    for offset in (-1, 0, 1):  # JPEG's own period, and that of 2x2 colour filters and samples
        power[..., np.clip(grid + offset, 0, _WINDOW // 2)] = 0
    return np.asarray(power, np.float32)


def _excess(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (down, across, frequencies): the power of each window beyond that of the others.

    A period that many windows share belongs to the whole image and counts as 0, with the frequencies next to
    it.
    """
    common = (power > _PERIODIC).mean(axis=(0, 1)) > _COMMON
    common = cv2.dilate(common.astype(np.uint8), np.ones((1, 3), np.uint8)) > 0
    beyond = np.where(common, 0, power - _TIMES_USUAL * np.median(power, axis=(0, 1)))
    return np.asarray(np.maximum(beyond, 0).max(axis=2), np.float32)


def _finding(found: float, excess: NDArray[np.float32]) -> str:
    if found < NOTABLE:
        return "No region shows an interpolation period that the rest of the picture lacks."
    frequency = int(excess.max(axis=(0, 1)).argmax()) / _WINDOW
    share = (excess.max(axis=2) > NOTABLE_AT).mean()
    return (
        f"{percent(share)} of the picture repeats with a period of {1 / frequency:.2f} pixels, as "
        "interpolated pixels do; the rest does not."
    )


def _pixel_map(peak: NDArray[np.float32], windows: _Windows, image: Image) -> NDArray[np.float32]:
    """Return for each place of the map the mean strength of the windows that contain it."""
    total, count = (np.zeros(image.map_shape, np.float32) for _ in range(2))
    across, down = image.magnification
    for row, line in zip(windows.corners[0], peak, strict=True):
        checkpoint()
        for column, value in zip(windows.corners[1], line, strict=True):
            window = (
                slice(int(row / down), int((row + _WINDOW) / down)),
                slice(int(column / across), int((column + _WINDOW) / across)),
            )
            total[window] += strength(float(value), NOTABLE_AT)
            count[window] += 1
    np.maximum(count, 1, out=count)
    return np.divide(total, count, out=total)
