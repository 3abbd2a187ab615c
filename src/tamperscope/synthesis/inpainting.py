"""Inpainting: a region is removed and filled from its surroundings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis import patchmatch, shapes
from tamperscope.synthesis.recipe import Canvas, Mask, Pixels, Step

METHODS: Mapping[str, float] = {"exemplar": 0.35, "stamp": 0.35, "diffusion": 0.25, "smooth": 0.05}
"""Relative share of each method of filling a hole.

Smooth fills are rare: otherwise a network would learn that a smooth region is a removed one.
"""

# Largest distance in pixels from the rim to the middle of a hole. In a wider hole these methods are
# obvious: they are meant for wires, scratches and small objects.
_SMOOTH_METHODS, _SMOOTH_RADIUS = ("diffusion", "smooth"), 18.0
# Pixels. Filling a larger hole from patches takes seconds.
_EXEMPLAR_AREA = 20_000
_STAMP_TRIES = 120
# Share of the image. A larger hole is not a local change.
_LARGEST_SHARE = 0.25
# Pixels around a hole that a filling is taken from or fitted to.
_CONTEXT = 64


def fits(hole: Mask, method: str) -> bool:
    """Return whether people would fill this (height, width) hole by `method`, one of `METHODS`."""
    area = np.count_nonzero(hole)
    if method == "exemplar" and area > _EXEMPLAR_AREA:
        return False
    if method in _SMOOTH_METHODS:
        return bool(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max() <= _SMOOTH_RADIUS)
    return bool(area <= _LARGEST_SHARE * hole.size)


def inpaint(host: Canvas, hole: Mask, rng: np.random.Generator, method: str) -> Canvas | None:
    """Return `host` with a hole filled by `method`, one of `METHODS`, as if nothing had been there.

    `hole` is (height, width), True where to fill. Return None when no filling is found.
    """
    fill = {"exemplar": _exemplar, "stamp": _stamp, "diffusion": _diffusion, "smooth": _smooth}[method]
    filled = fill(host.pixels, hole, rng)
    if filled is None:
        return None
    pixels, parameters = filled
    step = Step("inpainting", {"method": method, **parameters})
    return replace(host.after(step, pixels), mask=host.mask | hole)


_Filled = tuple[Pixels, dict[str, Any]]


def _exemplar(host: Pixels, hole: Mask, rng: np.random.Generator) -> _Filled | None:
    """Fill the hole with patches from around it."""
    box = shapes.bounding_box(hole, _CONTEXT)
    filled = patchmatch.fill(host[box], hole[box], rng)
    if filled is None:
        return None
    result = host.copy()
    sigma = float(rng.uniform(0.4, 1.2))
    result[box] = shapes.blend(host[box], filled, np.maximum(shapes.feather(hole[box], sigma), hole[box]))
    return result, {"edge_sigma": sigma}


def _stamp(host: Pixels, hole: Mask, rng: np.random.Generator) -> _Filled | None:
    """Fill the hole from other places of the photo, as a clone stamp does.

    The hole is filled in one to three bands. Each band is copied with a shift of its own: among random
    shifts, the one whose surroundings fit best.
    """
    rows, columns = shapes.bounding_box(hole, 0)
    extent = rows.stop - rows.start, columns.stop - columns.start
    across = extent[1] > extent[0]
    bands = int(rng.integers(1, 4)) if min(extent) > 24 else 1
    start = columns.start if across else rows.start
    edges = start + np.linspace(0, max(extent), bands + 1).astype(int)
    sigma = float(rng.uniform(0.4, 2.0))
    result, shifts = host.copy(), []
    for first, last in itertools.pairwise(edges):
        band = np.zeros_like(hole)
        span = np.s_[:, first:last] if across else np.s_[first:last]
        band[span] = hole[span]
        shift = _best_shift(host, band, hole, rng)
        if shift is None:
            return None
        box = shapes.bounding_box(band, 6)
        taken = _shifted(host, box, shift)
        result[box] = shapes.blend(result[box], taken, shapes.feather(band[box], sigma))
        shifts.append(list(shift))
    poisson = bool(rng.random() < 0.3)
    if poisson:
        seam = shapes.dilate(hole, 2)
        box = shapes.bounding_box(seam, 4)
        result[box] = shapes.clone_seamlessly(
            np.ascontiguousarray(host[box]), np.ascontiguousarray(result[box]), seam[box]
        )
    return result, {"shifts": shifts, "edge_sigma": sigma, "poisson": poisson}


def _diffusion(host: Pixels, hole: Mask, rng: np.random.Generator) -> _Filled:
    """Fill by Telea (2004) or Navier-Stokes (Bertalmio et al. 2001), usually with grain added back."""
    name, flag = (("telea", cv2.INPAINT_TELEA), ("navier-stokes", cv2.INPAINT_NS))[int(rng.integers(2))]
    box = shapes.bounding_box(hole, _CONTEXT)
    filled = cv2.inpaint(
        np.ascontiguousarray(host[box]), hole[box].astype(np.uint8), float(rng.integers(3, 8)), flag
    )
    grain = bool(rng.random() < 0.6)
    layer = filled + _grain(host, hole, box, rng) if grain else filled
    result = host.copy()
    result[box] = shapes.blend(host[box], layer, hole[box].astype(np.float32))
    return result, {"algorithm": name, "grain": grain}


def _smooth(host: Pixels, hole: Mask, rng: np.random.Generator) -> _Filled:
    """Fill with a blur of the surroundings, as a soft brush does, and add the grain of the surroundings."""
    box = shapes.bounding_box(hole, _CONTEXT)
    known = (~hole[box]).astype(np.float32)
    sigma = float(rng.uniform(6, 16))
    weight = cv2.GaussianBlur(known, (0, 0), sigma) + 1e-4
    blurred = cv2.GaussianBlur(host[box] * known[..., None], (0, 0), sigma) / weight[..., None]
    result = host.copy()
    opacity = shapes.feather(hole[box], 1.5)
    result[box] = shapes.blend(host[box], blurred + _grain(host, hole, box, rng), opacity)
    return result, {"sigma": sigma}


def _grain(
    host: Pixels, hole: Mask, box: tuple[slice, slice], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return grain for `box`: the fine detail of another place that fits the hole's surroundings.

    The result is (height, width, 3) float32, with a mean near 0, in units of 8-bit values.
    """
    shift = _best_shift(host, hole, hole, rng) or (0, 0)
    source = _shifted(host, box, shift)
    return np.asarray(source - cv2.GaussianBlur(source.astype(np.float32), (0, 0), 1.5))


def _shifted(host: Pixels, box: tuple[slice, slice], shift: tuple[int, int]) -> Pixels:
    """Return `box` of the image moved by (down, right); the image is mirrored beyond its borders."""
    height, width = host.shape[:2]
    rows = _mirrored(np.arange(box[0].start, box[0].stop) - shift[0], height)
    columns = _mirrored(np.arange(box[1].start, box[1].stop) - shift[1], width)
    return np.ascontiguousarray(host[rows[:, None], columns])


def _mirrored(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    index = np.abs(index)
    return np.minimum(index, 2 * (length - 1) - index)


def _best_shift(host: Pixels, part: Mask, hole: Mask, rng: np.random.Generator) -> tuple[int, int] | None:
    """Return the shift (down, right) whose pixels agree best with the rim of `part`, or None.

    The shift copies no pixel from the hole to the inside of `part`.
    """
    height, width = part.shape
    box = shapes.bounding_box(part, 4)
    inside = part[box]
    rim = shapes.dilate(inside, 4) & ~hole[box]
    if not rim.any():
        return None
    top, left = box[0].start, box[1].start
    rim_rows, rim_columns = np.nonzero(rim)
    present = host[rim_rows + top, rim_columns + left].astype(np.int32)
    best, best_error = None, np.inf
    for _ in range(_STAMP_TRIES):
        down = top - int(rng.integers(0, height - inside.shape[0] + 1))
        right = left - int(rng.integers(0, width - inside.shape[1] + 1))
        source = np.s_[box[0].start - down : box[0].stop - down, box[1].start - right : box[1].stop - right]
        if (hole[source] & inside).any():
            continue
        offered = host[source][rim_rows, rim_columns]
        error = float(np.square(present - offered).mean())
        if error < best_error:
            best, best_error = (down, right), error
    return best
