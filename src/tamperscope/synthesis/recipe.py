"""An image that is being edited, and the steps it went through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, 3) uint8: RGB, 0 to 255."""

Mask = NDArray[np.bool_]
"""(height, width) bool: True inside a region."""


@dataclass(frozen=True)
class Step:
    """One operation and its parameters: plain numbers, strings and lists."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the step as one flat JSON object."""
        return {"step": self.name, **self.parameters}


@dataclass(frozen=True, eq=False)
class Canvas:
    """An image that is being edited: its pixels, its mask, and every step so far."""

    pixels: Pixels
    """(height, width, 3) uint8: RGB, 0 to 255."""
    mask: Mask
    """(height, width) bool: True where manipulated."""
    source_mask: Mask | None = None
    """(height, width) bool: True where a copy-move took its copies from; None for other types."""
    steps: tuple[Step, ...] = ()
    sources: tuple[str, ...] = ()
    """Names of the photos it was made from, the host first."""

    def after(self, step: Step, pixels: Pixels) -> Canvas:
        """Return the canvas with new pixels of the same size, and one more step."""
        return replace(self, pixels=pixels, steps=(*self.steps, step))

    def resized(self, width: int, height: int, kernel: int) -> Canvas:
        """Return the canvas resampled with one of OpenCV's kernels, masks included."""
        return replace(
            self,
            pixels=np.asarray(cv2.resize(self.pixels, (width, height), interpolation=kernel), np.uint8),
            mask=resize_mask(self.mask, width, height),
            source_mask=None if self.source_mask is None else resize_mask(self.source_mask, width, height),
        )

    def cropped(self, top: int, left: int, size: int) -> Canvas:
        """Return a square crop of the canvas, masks included."""
        box = np.s_[top : top + size, left : left + size]
        return replace(
            self,
            pixels=np.ascontiguousarray(self.pixels[box]),
            mask=np.ascontiguousarray(self.mask[box]),
            source_mask=None if self.source_mask is None else np.ascontiguousarray(self.source_mask[box]),
        )


def resize_mask(mask: Mask, width: int, height: int) -> Mask:
    """Return a mask resampled to (height, width); a pixel is True when at least half of its area is."""
    kernel = cv2.INTER_AREA if width * height < mask.size else cv2.INTER_LINEAR
    levels = mask.astype(np.uint8) * 255
    return np.asarray(cv2.resize(levels, (width, height), interpolation=kernel) > 127)
