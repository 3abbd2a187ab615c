"""Error level analysis (Krawetz, "A picture's worth", Black Hat 2007): what saving again would change.

Areas that were already compressed like the rest change like the rest. A JPEG is saved just below its own
quality: at its own one, where quantising is idempotent, hardly anything but overexposed areas would change.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence import quantisation
from tamperscope.images import Image
from tamperscope.report import Evidence, Explanation

NAME = "error_level"
EXPLANATION = Explanation(
    what_you_see="How much each area would change if the picture were saved as a JPEG once more, brightest "
    "where it would change most.",
    what_it_can_mean="An area that is much brighter or darker than others with the same kind of texture may "
    "have another compression history, as a paste has.",
    what_it_cannot="Edges, fine texture and strong colours are always bright, smooth areas always dark. It "
    "never shows on its own that anything was manipulated, so it counts for nothing in the verdict.",
)

_BELOW = 5
"""Steps of JPEG quality below the picture's own."""
_HIGHEST_QUALITY = 90
"""Also the quality for files that are no JPEG."""
_WINDOW = 7
"""Side in pixels of the square that the change is averaged over."""
_BRIGHTEST = 99.5
"""Percentile of the change that the map shows as 1."""


def measure(image: Image) -> Evidence:
    """Save the picture again and map the change; the strength is 0 by design."""
    quality = _HIGHEST_QUALITY
    if image.jpeg:
        own = quantisation.origin(image.jpeg.quantisation_tables).quality
        quality = int(np.clip(own - _BELOW, 1, _HIGHEST_QUALITY))
    change = cv2.absdiff(image.pixels, _saved_again(image.pixels, quality)).astype(np.float32).mean(axis=2)
    smooth = cv2.blur(change, (_WINDOW, _WINDOW))
    brightest = max(float(np.percentile(smooth, _BRIGHTEST)), 1.0)
    return Evidence(
        NAME,
        EXPLANATION,
        f"Saving at quality {quality} changes the pixels by {change.mean():.1f} of 255 levels on average.",
        0.0,
        np.minimum(smooth / brightest, 1).astype(np.float32),
    )


def _saved_again(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return the pixels after a JPEG compression with full colour resolution."""
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
