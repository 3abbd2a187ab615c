"""Splicing: a piece of one photo is pasted into another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tamperscope.synthesis import shapes
from tamperscope.synthesis.pasting import paste
from tamperscope.synthesis.recipe import Canvas, Step
from tamperscope.synthesis.shapes import Cutout

# Log-normal distribution of the share of the canvas that a pasted object covers. The final crop enlarges
# the share. Forged regions are then about as large as those of CASIA v1, with quartiles of 5, 7 and 11 %,
# and 5 % above 25 %.
_MEDIAN_SHARE, _LOG_DEVIATION = 0.035, 0.95
_SMALLEST_SHARE, _LARGEST_SHARE, _LARGEST_NATURAL_SHARE = 0.005, 0.4, 0.15
_LARGEST_SCALE = 1.6


@dataclass(frozen=True, eq=False)
class Donation:
    """A cutout, and where it was in its own photo."""

    piece: Cutout
    photo: str
    """Name of the photo."""
    found_by: str
    """How the region was found: annotation, GrabCut, SLIC or drawing."""
    height_in_photo: float
    """Vertical position of its centre in the photo, from 0 (top) to 1 (bottom)."""
    cut_off: frozenset[str]
    """The borders of its photo that cut it off: any of left, right and bottom."""


def splice(host: Canvas, donation: Donation, rng: np.random.Generator) -> Canvas | None:
    """Return `host` with a donation pasted at a plausible size and place.

    A donation is placed at about the height that it had in its own photo. A donation that a border cut off
    stays at that border: half a person does not float in mid-air. Return None when hardly any of the
    donation would be visible.
    """
    height, width = host.mask.shape
    piece = replace(donation.piece, mask=shapes.cut_by_hand(donation.piece.mask, rng))
    natural_share = np.count_nonzero(piece.mask) / host.mask.size
    share = np.clip(rng.lognormal(np.log(_MEDIAN_SHARE), _LOG_DEVIATION), _SMALLEST_SHARE, _LARGEST_SHARE)
    scale = float(np.sqrt(share / natural_share))
    scale = min(
        scale, _LARGEST_SCALE, 1.05 * height / piece.mask.shape[0], 1.05 * width / piece.mask.shape[1]
    )
    if _SMALLEST_SHARE < natural_share < _LARGEST_NATURAL_SHARE and rng.random() < 0.25:
        scale = 1.0
    mirror = bool(rng.random() < 0.4)
    degrees = float(rng.normal(0, 7)) if rng.random() < 0.4 and not donation.cut_off else 0.0
    piece = shapes.transform(piece, scale, degrees, mirror=mirror)
    x, y = _position(piece, donation, height, width, rng, mirror=mirror)
    pasted = paste(host.pixels, piece, x, y, rng, fit=True)
    if pasted is None:
        return None
    pixels, mask, step = pasted
    how = {"photo": donation.photo, "object": donation.found_by}
    placed = Step("splice", {**how, "scale": scale, "degrees": degrees, "mirror": mirror, **step.parameters})
    return replace(host.after(placed, pixels), mask=host.mask | mask, sources=(*host.sources, donation.photo))


def _position(
    piece: Cutout, donation: Donation, height: int, width: int, rng: np.random.Generator, *, mirror: bool
) -> tuple[int, int]:
    piece_height, piece_width = piece.mask.shape
    x = int(rng.uniform(0, max(width - piece_width, 1)))
    centre = donation.height_in_photo + rng.normal(0, 0.15)
    y = int(np.clip(centre * height - piece_height / 2, 0, max(height - piece_height, 0)))
    if "bottom" in donation.cut_off:
        y = height - piece_height + _hidden(rng)
    if donation.cut_off & {"left", "right"}:
        at_left = ("left" in donation.cut_off) != mirror
        x = -_hidden(rng) if at_left else width - piece_width + _hidden(rng)
    return x, y


def _hidden(rng: np.random.Generator) -> int:
    """Return how many pixels extend beyond the border, so that the cut-off edge is never visible."""
    return int(rng.integers(2, 16))
