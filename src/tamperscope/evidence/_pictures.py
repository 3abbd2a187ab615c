"""Small pictures out of a file, drawn again, for reports."""

from __future__ import annotations

from base64 import b64encode

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.images.rendering import encode_png


def data_uri(pixels: NDArray[np.uint8], longest: int) -> str:
    """Return a picture, (height, width, 3) uint8 RGB, as the data URI of a PNG, no side above `longest`."""
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return f"data:image/png;base64,{b64encode(encode_png(np.ascontiguousarray(pixels))).decode()}"
