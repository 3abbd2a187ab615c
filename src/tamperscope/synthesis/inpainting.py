"""Inpainting: an area removed and filled from its surroundings."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis import shapes
from tamperscope.synthesis.recipe import Step
from tamperscope.synthesis.shapes import Mask

Pixels = NDArray[np.uint8]


def inpaint(host: Pixels, hole: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask, Step] | None:
    """Fill `hole` as if nothing had been there; None when the hole is too small or too large."""
    if not 100 <= hole.sum() <= 0.25 * hole.size:
        return None
    thin = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max() < 8
    if thin and rng.random() < 0.5:
        return _diffusion(host, hole, rng)
    return _exemplar(host, hole, rng)


def _exemplar(host: Pixels, hole: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask, Step] | None:
    """Fill the hole with texture from another place of the photo, in bands with a shift each.

    A light form of exemplar-based filling (Criminisi et al. 2004): the hole is split into a few bands, each
    is filled from the shift whose surroundings fit best, and the seam is hidden by Poisson blending at times.
    """
    result = host.copy()
    x, y, box_width, box_height = cv2.boundingRect(hole.astype(np.uint8))
    bands = int(rng.integers(1, 4)) if min(box_width, box_height) > 24 else 1
    across = box_width > box_height
    edges = np.linspace(0, box_width if across else box_height, bands + 1).astype(int)
    shifts = []
    for start, stop in itertools.pairwise(edges):
        part = np.zeros_like(hole)
        if across:
            part[:, x + start : x + stop] = hole[:, x + start : x + stop]
        else:
            part[y + start : y + stop] = hole[y + start : y + stop]
        shift = _best_shift(host, part, hole, rng)
        if shift is None:
            return None
        moved = np.roll(host, shift, axis=(0, 1))
        result = shapes.blend(result, moved, shapes.soft_edge(part, rng))
        shifts.append(list(shift))
    # OpenCV leaves the rim of the mask as it was, so the mask it gets is a little larger than the hole.
    seam = shapes.dilate(hole, 2)
    touches_border = seam[[0, -1]].any() or seam[:, [0, -1]].any()
    if rng.random() < 0.4 and not touches_border:
        x, y, box_width, box_height = cv2.boundingRect(seam.astype(np.uint8))
        centre = (x + box_width // 2, y + box_height // 2)
        result = np.asarray(
            cv2.seamlessClone(result, host, seam.astype(np.uint8) * 255, centre, cv2.NORMAL_CLONE), np.uint8
        )
    return result, hole, Step("exemplar inpainting", {"shifts": shifts})


def _best_shift(host: Pixels, part: Mask, hole: Mask, rng: np.random.Generator) -> tuple[int, int] | None:
    """Find the shift, among random ones, whose pixels agree best with the rim of `part`."""
    height, width = part.shape
    rim = (cv2.dilate(part.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0) & ~hole
    rows, columns = np.nonzero(rim | part)
    if not rim.any():
        return None
    rim_rows, rim_columns = np.nonzero(rim)
    part_rows, part_columns = np.nonzero(part)
    best, best_error = None, np.inf
    for _ in range(48):
        down = int(rng.integers(rows.max() - height + 1, rows.min() + 1))
        right = int(rng.integers(columns.max() - width + 1, columns.min() + 1))
        if hole[part_rows - down, part_columns - right].any():
            continue
        difference = host[rim_rows, rim_columns].astype(np.int16) - host[rim_rows - down, rim_columns - right]
        error = float(np.square(difference).mean())
        if error < best_error:
            best, best_error = (down, right), error
    return best


def _diffusion(host: Pixels, hole: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask, Step]:
    """Fill a thin hole by Telea (2004) or Navier-Stokes (Bertalmio et al. 2001), some with grain put back."""
    method = rng.choice(["telea", "navier-stokes"])
    flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    filled = cv2.inpaint(host, hole.astype(np.uint8), float(rng.integers(3, 8)), flag)
    grain = rng.random() < 0.5
    if grain:
        residual = host.astype(np.float32) - cv2.GaussianBlur(host, (0, 0), 1.5)
        shift = (int(rng.integers(8, 64)), int(rng.integers(8, 64)))
        filled = np.where(hole[..., None], filled + np.roll(residual, shift, axis=(0, 1)), filled)
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8), hole, Step(str(method), {"grain": grain})
