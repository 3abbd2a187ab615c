"""Which measurements single out the same region.

Two independent measurements that agree on a region say more than either alone, and a reader should not have
to lay their maps on top of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence import error_level
from tamperscope.images.contours import filled
from tamperscope.interruption import checkpoint
from tamperscope.report import Evidence, Region

NETWORK = "network_map"
"""The name of the networks' own map among the measurements, as in `Reason.name`."""
_MARKED = 0.5
"""Value of a map from which it marks a pixel."""
_LEAST_SHARE = 0.5
"""Least share of a region that a measurement marks if it agrees."""
_LEAST_CONTRAST = 2.0
"""Least ratio of that share to the share of the whole image: what marks everything singles out nothing."""


@dataclass(frozen=True, eq=False)
class Marks:
    """What one measurement marks in an image."""

    mask: NDArray[np.bool_] | None
    """(height, width) bool; None if it marks nothing, because it found nothing notable."""
    share: float
    """Share of the image's pixels that it marks, 0 to 1."""


def marks_of(evidence: Mapping[str, Evidence], network: NDArray[np.bool_]) -> Mapping[str, Marks]:
    """Return the marks of each measurement that looked for regions in this image.

    `network` is what the networks mark on their own: bool, of the same shape as the maps of the evidence.
    """
    # The error level map is for the eye alone: it never judges, so it can neither agree nor disagree.
    found = {
        name: _marks(item.map > _MARKED if item.notable else None)
        for name, item in evidence.items()
        if item.map is not None and name != error_level.NAME
    }
    return {NETWORK: _marks(network), **found}


def agreement(region: Region, marks: Mapping[str, Marks]) -> dict[str, bool]:
    """Return for each measurement whether it singles out a region."""
    box = region.box
    window = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
    inside = filled(tuple((x - box.x, y - box.y) for x, y in region.polygon), (box.height, box.width))
    return {name: _agrees(each, window, inside) for name, each in marks.items()}


def _marks(mask: NDArray[np.bool_] | None) -> Marks:
    return Marks(mask, 0.0 if mask is None else float(mask.mean()))


def _agrees(marks: Marks, window: tuple[slice, slice], inside: NDArray[np.bool_]) -> bool:
    if marks.mask is None:
        return False
    checkpoint()
    share = float(marks.mask[window][inside].mean())
    return share >= _LEAST_SHARE and share >= _LEAST_CONTRAST * marks.share
