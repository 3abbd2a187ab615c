"""What is done to a picture, step by step, and what has come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """One operation and its parameters, which are plain numbers, strings and lists."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the step as one flat object."""
        return {"step": self.name, **self.parameters}


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture on its way: pixels, what in them was manipulated, and every step so far."""

    pixels: Pixels
    """(height, width, 3) RGB."""
    mask: Mask
    """(height, width): True where manipulated."""
    source_mask: Mask | None = None
    """(height, width): True where the copies of a copy-move were taken from."""
    steps: tuple[Step, ...] = ()
    sources: tuple[str, ...] = ()
    """Names of the photos it was made from, the host first."""

    def after(self, step: Step, pixels: Pixels) -> Canvas:
        """Return the picture with other pixels of the same size, and one step more."""
        return replace(self, pixels=pixels, steps=(*self.steps, step))

    def resized(self, width: int, height: int, kernel: int) -> Canvas:
        """Return the picture resampled with one of OpenCV's kernels, its masks with it."""
        return replace(
            self,
            pixels=np.asarray(cv2.resize(self.pixels, (width, height), interpolation=kernel), np.uint8),
            mask=resize_mask(self.mask, width, height),
            source_mask=None if self.source_mask is None else resize_mask(self.source_mask, width, height),
        )

    def cropped(self, top: int, left: int, size: int) -> Canvas:
        """Return a square cut-out of the picture and its masks."""
        box = np.s_[top : top + size, left : left + size]
        return replace(
            self,
            pixels=np.ascontiguousarray(self.pixels[box]),
            mask=np.ascontiguousarray(self.mask[box]),
            source_mask=None if self.source_mask is None else np.ascontiguousarray(self.source_mask[box]),
        )


def resize_mask(mask: Mask, width: int, height: int) -> Mask:
    """Resample a mask; a pixel belongs to it when at least half of its area does."""
    kernel = cv2.INTER_AREA if width * height < mask.size else cv2.INTER_LINEAR
    levels = mask.astype(np.uint8) * 255
    return np.asarray(cv2.resize(levels, (width, height), interpolation=kernel) > 127)
