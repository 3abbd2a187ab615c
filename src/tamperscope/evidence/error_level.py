"""Error level analysis (Krawetz, "A picture's worth", Black Hat 2007): how saving again changes an image.

A region that was already compressed like the rest changes like the rest. A JPEG is saved slightly below its
own quality. At its own quality quantisation is idempotent, and hardly anything but overexposed regions would
change.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence import quantisation
from tamperscope.images import Image
from tamperscope.interruption import checkpoint
from tamperscope.report import Evidence, Explanation

NAME = "error_level"
EXPLANATION = Explanation(
    what_you_see="How much each part of the picture would change if it were saved as a JPEG once more. "
    "The brightest parts would change most.",
    what_it_can_mean="A region that is much brighter or darker than others with the same kind of texture may "
    "have a different compression history, as pasted content does.",
    what_it_cannot="Edges, fine texture and strong colours are always bright, and smooth regions are always "
    "dark. On its own, this map never shows that anything was manipulated, so the verdict ignores it.",
)

_BELOW = 5
"""Steps of JPEG quality below the image's own at which it is saved."""
_HIGHEST_QUALITY = 90
"""Upper limit of that quality, and the quality for files that are not JPEGs."""
_WINDOW = 7
"""Side, in pixels, of the square over which the change is averaged."""
_STRIP = 512
"""Rows that are saved at a time, to bound the memory: a multiple of the 8 rows of a block."""
_BRIGHTEST = 99.5
"""Percentile of the change that the map shows as 1."""


def measure(image: Image) -> Evidence:
    """Return how much saving the image again changes each pixel.

    The map is (height, width) float32, 0 to 1. The strength is always 0, by design.
    """
    quality = _HIGHEST_QUALITY
    if image.jpeg:
        own = quantisation.origin(image.jpeg.quantisation_tables).quality
        quality = int(np.clip(own - _BELOW, 1, _HIGHEST_QUALITY))
    change = _change(image.pixels, quality)
    average = float(change.mean())
    # In place, because each copy of a large image's map has hundreds of megabytes.
    smooth = cv2.blur(change, (_WINDOW, _WINDOW), dst=change)
    brightest = max(float(np.percentile(smooth, _BRIGHTEST)), 1.0)
    np.divide(smooth, np.float32(brightest), out=smooth)
    np.minimum(smooth, 1, out=smooth)
    return Evidence(
        NAME,
        EXPLANATION,
        f"Saving at quality {quality} changes the pixels by {average:.1f} of 255 levels on average.",
        0.0,
        np.asarray(smooth, np.float32),
    )


def _change(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.float32]:
    """Return (height, width) float32, 0 to 255: how much saving again changes each pixel."""
    change = np.empty(pixels.shape[:2], np.float32)
    for top in range(0, len(pixels), _STRIP):
        checkpoint()
        strip = pixels[top : top + _STRIP]
        difference = cv2.absdiff(strip, _saved_again(strip, quality))
        change[top : top + _STRIP] = difference.astype(np.float32).mean(axis=2)
    return change


def _saved_again(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return the pixels after JPEG compression at full colour resolution."""
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
