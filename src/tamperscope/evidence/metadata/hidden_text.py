"""The text that image generators hide in the pixels of a PNG or WebP ("stealth PNG info").

    for name, value in read(image):
        name, value                     # such as "Software", "NovelAI"

NovelAI, and an extension of AUTOMATIC1111 and Forge, write the settings of a generated picture into the
lowest bits of its alpha channel, or of its colours: down the first column, then down the next. They begin
with one of four names and a count of bits. The text stays when a website removes the metadata and keeps the
pixels.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from tamperscope.images import Image

GROUP = "Hidden text"
LONGEST_TEXT = 2**20
"""Bytes of the text, after decompression."""
_FORMATS = ("PNG", "WEBP")
_MOST_PIXELS = 2**24
"""Pixels of an image whose alpha channel is decoded again; generators make smaller ones."""
_NAMES = {
    b"stealth_pnginfo": False,
    b"stealth_pngcomp": True,
    b"stealth_rgbinfo": False,
    b"stealth_rgbcomp": True,
}
"""The names that a text begins with, and whether gzip compressed it."""
_NAME_BITS, _COUNT_BITS = 120, 32
_MOST_BITS = 8 * 2**22
_MOST_FIELDS = 100


def read(image: Image) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each field of a hidden text; nothing if there is none.

    A text that is not JSON is one field, `parameters`, as AUTOMATIC1111 calls it. Raises `zlib.error` or
    `ValueError` where a text is announced and cannot be read.
    """
    if image.format not in _FORMATS:
        return
    for samples in (_colours(image), _alpha(image)):
        content = _content(samples)
        if content is not None:
            yield from _fields(content.decode("utf-8", "replace"))


def _colours(image: Image) -> NDArray[np.uint8]:
    """Return (width, height, 3) uint8: the colours, column by column."""
    return image.pixels.transpose(1, 0, 2)


def _alpha(image: Image) -> NDArray[np.uint8]:
    """Return (width, height, 1) uint8: the alpha channel, column by column; nothing if there is none."""
    nothing = np.zeros((0, 0, 1), np.uint8)
    try:
        with PIL.Image.open(BytesIO(image.data), formats=_FORMATS) as picture:
            if picture.mode not in ("RGBA", "LA") or picture.width * picture.height > _MOST_PIXELS:
                return nothing
            return np.asarray(picture.getchannel("A")).T[:, :, None]
    except Exception:  # whatever a damaged file makes a decoder raise; no text is announced in it
        return nothing


def _content(columns: NDArray[np.uint8]) -> bytes | None:
    head = _NAME_BITS + _COUNT_BITS
    start = _bits(columns, 0, head)
    compressed = _NAMES.get(start[: _NAME_BITS // 8])
    if compressed is None or len(start) < head // 8:
        return None
    count = int.from_bytes(start[_NAME_BITS // 8 :])
    if not 0 < count <= min(_MOST_BITS, columns.size - head):
        raise ValueError("The hidden text is longer than the picture.")
    content = _bits(columns, head, head + count)
    # 31: a gzip stream with its header.
    return zlib.decompressobj(31).decompress(content, LONGEST_TEXT) if compressed else content[:LONGEST_TEXT]


def _bits(columns: NDArray[np.uint8], start: int, end: int) -> bytes:
    """Return the lowest bits of some samples, eight to a byte."""
    in_column = max(1, columns.shape[1] * columns.shape[2])
    first = start // in_column
    part = columns[first : -(-end // in_column)].reshape(-1)
    return np.packbits(part[start - first * in_column : end - first * in_column] & 1).tobytes()


def _fields(text: str) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        yield "parameters", text
        return
    for name, value in list(document.items())[:_MOST_FIELDS]:
        yield str(name), value if isinstance(value, str) else json.dumps(value)
