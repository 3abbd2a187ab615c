"""Pictures of a result: mask, overlay, masked image and heatmap, and their PNG encoding.

All of them have the size of the upright image; colour arrays are RGB.
"""

from __future__ import annotations

import struct
from typing import cast

import cv2
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from tamperscope.interruption import checkpoint

# Level of ISA-L's deflate: files as large as at zlib's fastest level, in a sixth of the time.
_PNG_LEVEL = 2
_PNG_UP = 2
_PNG_COLOUR = {1: 0, 3: 2}


def overlay(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the image with the mask highlighted in green, and unchanged outside it.

    `pixels` is (height, width, 3) uint8 RGB, `mask` (height, width) bool. Under the mask every pixel
    moves halfway towards (0, 255, 0).
    """
    blended = pixels // np.uint8(2)
    blended[..., 1] += 128
    cv2.copyTo(pixels, (~mask).view(np.uint8), blended)
    return blended


def masked_image(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the image inside the mask and black outside; shapes and dtypes as in `overlay`."""
    return cast("NDArray[np.uint8]", cv2.bitwise_and(pixels, pixels, mask=mask.view(np.uint8)))


def mask_image(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the mask as (height, width) uint8: 255 where manipulated, 0 elsewhere."""
    return mask.astype(np.uint8) * np.uint8(255)


def heatmap(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return probabilities, (height, width) in 0..1, as RGB in the colours of `coloured`."""
    return coloured(levels(probabilities))


def levels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return values, (height, width) in 0..1, as uint8 levels: 255 for 1."""
    scaled: NDArray[np.uint8] = np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
    return scaled


def coloured(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return levels, (height, width) uint8, in the Inferno colour map: (height, width, 3) uint8 RGB.

    Inferno's lightness grows evenly with the value, so the order survives greyscale printing and colour
    blindness.
    """
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return cast("NDArray[np.uint8]", colours)


def scaled_down(values: NDArray[np.float32], longest_side: int) -> NDArray[np.float32]:
    """Return (height, width) values averaged over fewer pixels, so that no side exceeds `longest_side`."""
    scale = longest_side / max(values.shape)
    if scale >= 1:
        return values
    height, width = (max(1, round(side * scale)) for side in values.shape)
    smaller: NDArray[np.float32] = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
    return smaller


def decode_grey_png(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels, (height, width) uint8, of a grey PNG from `encode_png`. Not for untrusted files."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """Return the PNG file of an 8-bit picture: (height, width) grey or (height, width, 3) RGB."""
    checkpoint()
    height, width = picture.shape[:2]
    channels = picture.size // (height * width)
    samples = picture.reshape(height, width * channels)
    # Each row is the number of the filter, then the difference from the row above (PNG, clause 9).
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _PNG_UP
    rows[0, 1:] = samples[0]
    np.subtract(samples[1:], samples[:-1], out=rows[1:, 1:])
    header = struct.pack(">LLBBBBB", width, height, 8, _PNG_COLOUR[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", isal_zlib.compress(rows, _PNG_LEVEL)), (b"IEND", b""))
    return b"".join([b"\x89PNG\r\n\x1a\n", *(part for chunk in chunks for part in _png_chunk(*chunk))])


def _png_chunk(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    checksum = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return len(content).to_bytes(4), kind, content, checksum.to_bytes(4)
