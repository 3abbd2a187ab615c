"""One image of a dataset, with its ground truth."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.errors import DatasetError, ImageError
from tamperscope.images import read_image
from tamperscope.report import ManipulationType


class MaskEncoding(enum.Enum):
    """Which pixels of a mask file mark manipulation."""

    WHITE = enum.auto()
    """Those brighter than half, which is also right for masks that were saved as JPEG."""
    BLACK = enum.auto()
    """Those darker than half."""
    GREEN = enum.auto()
    """Those with more green than red."""


@dataclass(frozen=True)
class Sample:
    """An image and its ground-truth mask. An image without a mask is authentic."""

    set: str
    """Name of the set that the image belongs to."""
    image: Path
    mask: Path | None
    type: ManipulationType | None = None
    """How the image was manipulated; None when it is authentic, or when the set does not name a type."""
    sources: tuple[str, ...] = ()
    """The photos that the image was made from, where the set names them. A split must keep them together."""
    mask_encoding: MaskEncoding = MaskEncoding.WHITE

    @property
    def forged(self) -> bool:
        """Whether the image was manipulated."""
        return self.mask is not None

    def ground_truth(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the mask: (height, width) bool, True where manipulated.

        Raises DatasetError when the mask file cannot be read or has another size.
        """
        if self.mask is None:
            return np.zeros((height, width), bool)
        try:
            pixels = read_image(self.mask).pixels
        except (ImageError, OSError) as error:
            raise DatasetError(f"The mask {self.mask.name} cannot be read: {error}") from error
        if pixels.shape[:2] != (height, width):
            raise DatasetError(
                f"The mask {self.mask.name} is {pixels.shape[1]}x{pixels.shape[0]}, "
                f"but its image is {width}x{height}."
            )
        if self.mask_encoding is MaskEncoding.GREEN:
            return np.asarray(pixels[..., 1] > pixels[..., 0])
        white = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) > 127
        return np.asarray(white if self.mask_encoding is MaskEncoding.WHITE else ~white)
