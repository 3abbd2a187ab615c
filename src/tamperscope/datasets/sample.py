"""One image of a dataset, with its ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """An image and its ground-truth mask; an image without a mask is authentic."""

    set: str
    """Name of the set it belongs to."""
    image: Path
    mask: Path | None

    @property
    def forged(self) -> bool:
        """Whether the image was manipulated."""
        return self.mask is not None

    def ground_truth(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the (height, width) mask, True where manipulated.

        Raises ValueError when the mask has another size than the image.
        """
        if self.mask is None:
            return np.zeros((height, width), bool)
        mask = cv2.imdecode(np.frombuffer(self.mask.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != (height, width):
            found = "unreadable" if mask is None else f"{mask.shape[1]}x{mask.shape[0]}"
            raise ValueError(f"the mask {self.mask.name} is {found}, its image is {width}x{height}")
        return np.asarray(mask > 127)
