"""What kind of file an image is, as far as it decides which traces can be read in it.

kind = FileKind.of(image)
str(kind)               # "lossless files of 0.5 to 2 megapixels"
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Self

import numpy as np
import PIL.Image

if TYPE_CHECKING:
    from tamperscope.images import Image

SIZES = ((0.15, "below 0.15 megapixels"), (0.5, "0.15 to 0.5 megapixels"), (2.0, "0.5 to 2 megapixels"))
"""Upper limit of each size band in megapixels, and the band in words."""
LARGEST = "above 2 megapixels"
_QUALITIES = (
    (75, "JPEG files below quality 75"),
    (90, "JPEG files of quality 75 to 89"),
    (101, "JPEG files of quality 90 or more"),
)
_LOSSY = {"WEBP", "HEIF", "AVIF"}
_ANNEX_K = 57.625
"""Mean of the luminance steps of ITU-T T.81, Table K.1, which libjpeg writes at quality 50."""


@dataclass(frozen=True)
class FileKind:
    """What is known of a file before anything is measured in it."""

    pixels: int
    """Width times height."""
    format: str
    """As `Image.format`."""
    step: float
    """Mean quantisation step of the luminance of a JPEG, 1 to 255 for 8-bit tables; 1 for other formats."""

    @classmethod
    def of(cls, image: Image) -> Self:
        """Return the kind of an image's file."""
        step = _luminance_step(image.data) if image.format == "JPEG" else 1.0
        return cls(image.width * image.height, image.format, step)

    @property
    def size_band(self) -> str:
        """The size band in words."""
        megapixels = self.pixels / 1e6
        return next((name for limit, name in SIZES if megapixels < limit), LARGEST)

    @property
    def format_band(self) -> str:
        """The format in words: JPEG by quality, lossless, or another lossy format."""
        if self.format == "JPEG":
            return next(name for limit, name in _QUALITIES if self.quality < limit)
        return "WebP, HEIF and AVIF files" if self.format in _LOSSY else "lossless files"

    @property
    def quality(self) -> float:
        """The quality, 0 to 100, at which libjpeg's luminance steps have this mean.

        >>> round(FileKind(262144, "JPEG", 57.625).quality)
        50
        """
        scale = 100 * self.step / _ANNEX_K
        return max(0.0, 5000 / scale if scale > 100 else 100 - scale / 2)

    def __str__(self) -> str:
        of = "of " if self.size_band[0].isdigit() else ""
        return f"{self.format_band} {of}{self.size_band}"


def _luminance_step(data: bytes) -> float:
    """Return the mean quantisation step of a JPEG's first component, at least 1, without decoding it."""
    with PIL.Image.open(BytesIO(data), formats=("JPEG",)) as picture:
        tables, components = getattr(picture, "quantization", {}), getattr(picture, "layer", [])
    table = tables.get(components[0][3]) if components else None
    return max(float(np.mean(table)), 1.0) if table else 1.0
