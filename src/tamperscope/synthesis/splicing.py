"""Splicing: something from one photo put into another."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis import shapes
from tamperscope.synthesis.recipe import Step
from tamperscope.synthesis.shapes import Cutout, Mask

Pixels = NDArray[np.uint8]


def splice(host: Pixels, piece: Cutout, rng: np.random.Generator) -> tuple[Pixels, Mask, Step] | None:
    """Put `piece` somewhere on `host` at a plausible size; None when hardly anything of it would be seen."""
    height, width = host.shape[:2]
    share = float(np.exp(rng.uniform(np.log(0.012), np.log(0.35))))
    scale = float(np.sqrt(share * height * width / piece.mask.sum()))
    scale = min(scale, 1.6, 0.95 * height / piece.mask.shape[0], 0.95 * width / piece.mask.shape[1])
    degrees = float(rng.normal(0, 8)) if rng.random() < 0.5 else 0.0
    if abs(scale - 1) < 0.25 and rng.random() < 0.5:
        scale, degrees = 1.0, 0.0
    piece = _trim(piece, rng)
    piece = shapes.transform(piece, scale, degrees, mirror=rng.random() < 0.5)
    x, y = _position(piece.mask.shape, height, width, rng)
    layer, mask = shapes.place(piece, host, x, y)
    if mask.sum() < 100 or mask.mean() > 0.6:
        return None
    matched = rng.random() < 0.5
    if matched:
        layer = match_colour(layer, mask, host, rng.uniform(0.2, 0.7))
    poisson = rng.random() < 0.08
    if poisson:
        result = _poisson(host, layer, mask)
    else:
        result = shapes.blend(host, layer, shapes.soft_edge(mask, rng))
    step = Step(
        "splice",
        {"scale": scale, "degrees": degrees, "x": x, "y": y, "colour matched": matched, "poisson": poisson},
    )
    return result, mask, step


def match_colour(layer: Pixels, mask: Mask, reference: Pixels, strength: float) -> Pixels:
    """Move the masked area's colour statistics towards the reference's (Reinhard et al. 2001, in CIELAB)."""
    source = cv2.cvtColor(layer, cv2.COLOR_RGB2LAB).astype(np.float32)
    target = cv2.cvtColor(reference, cv2.COLOR_RGB2LAB).astype(np.float32)
    mean, deviation = source[mask].mean(0), source[mask].std(0) + 1
    wanted_mean, wanted_deviation = target.mean((0, 1)), target.std((0, 1)) + 1
    gain = np.clip(wanted_deviation / deviation, 0.7, 1.4)
    moved = (source - mean) * (1 + strength * (gain - 1)) + mean + strength * (wanted_mean - mean)
    return np.asarray(
        cv2.cvtColor(np.clip(np.rint(moved), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8
    )


def _trim(piece: Cutout, rng: np.random.Generator) -> Cutout:
    """Cut a little inside or outside of the object's outline, as a hand does."""
    amount = int(rng.integers(-2, 3))
    if amount == 0:
        return piece
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(amount) + 1,) * 2)
    change = cv2.dilate if amount > 0 else cv2.erode
    mask = change(piece.mask.astype(np.uint8), kernel) > 0
    return Cutout(piece.pixels, mask) if mask.sum() >= 64 else piece


def _position(shape: tuple[int, ...], height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
    overhang = 0.25 if rng.random() < 0.3 else 0.0
    piece_height, piece_width = shape
    x = rng.uniform(-overhang * piece_width, max(width - (1 - overhang) * piece_width, 1))
    y = rng.uniform(-overhang * piece_height, max(height - (1 - overhang) * piece_height, 1))
    if rng.random() < 0.3:  # standing on the lower edge, as cropped people and objects do
        y = height - piece_height
    return int(x), int(y)


def _poisson(host: Pixels, layer: Pixels, mask: Mask) -> Pixels:
    """Blend seamlessly (Perez et al. 2003). The centre of the mask's box is where OpenCV puts the layer."""
    inner = mask.copy()
    inner[[0, -1], :] = inner[:, [0, -1]] = False
    x, y, width, height = cv2.boundingRect(inner.astype(np.uint8))
    if min(width, height) < 4:
        return shapes.blend(host, layer, mask.astype(np.float32))
    # Outside the mask the layer must continue, or its black surround bleeds into the result.
    full = np.where(mask[..., None], layer, host)
    centre = (x + width // 2, y + height // 2)
    return np.asarray(
        cv2.seamlessClone(full, host, inner.astype(np.uint8) * 255, centre, cv2.NORMAL_CLONE), np.uint8
    )
