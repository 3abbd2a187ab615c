"""What a person looks at: mask, overlay, masked image and heatmap, and their PNG encoding.

Everything has the size of the upright image; colour arrays are RGB.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

# Encoding is the slowest step of an answer about a large picture; zlib level 1 needs less than half the
# time of level 6 and makes the file about a tenth larger.
_PNG_LEVEL = 1


def overlay(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the image with the mask highlighted in green, and untouched outside of it.

    `pixels` is (height, width, 3) uint8 RGB, `mask` (height, width) bool. Under the mask every pixel
    moves halfway towards (0, 255, 0).
    """
    blended = pixels // np.uint8(2)
    blended[..., 1] += 128
    cv2.copyTo(pixels, (~mask).view(np.uint8), blended)
    return blended


def masked_image(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the image inside the mask and black outside; shapes and dtypes as in `overlay`."""
    return pixels * mask[..., np.newaxis]


def mask_image(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the mask as (height, width) uint8: 255 where manipulated, 0 elsewhere."""
    return mask.astype(np.uint8) * np.uint8(255)


def heatmap(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (height, width) probabilities in 0..1 as RGB in the Inferno colour map.

    Inferno's lightness grows evenly with the value, so the order of probabilities survives printing
    in grey and colour blindness. The result is (height, width, 3) uint8.
    """
    levels = np.rint(np.clip(probabilities, 0.0, 1.0) * 255.0).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return cast("NDArray[np.uint8]", coloured)


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """Return the PNG file of an 8-bit picture: (height, width) grey or (height, width, 3) RGB."""
    ordered = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    _, encoded = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL])
    return encoded.tobytes()
