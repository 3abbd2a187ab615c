"""Paste a cutout into an image as an editor would: with fitted colour and light, and a treated edge."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis import shapes
from tamperscope.synthesis.recipe import Mask, Pixels, Step
from tamperscope.synthesis.shapes import Cutout


def paste(
    canvas: Pixels, piece: Cutout, x: int, y: int, rng: np.random.Generator, *, fit: bool
) -> tuple[Pixels, Mask, Step] | None:
    """Paste `piece` with its top left corner at (x, y); return the image, the mask of the piece and the step.

    With `fit`, colour, lighting and gradients may be fitted to the surroundings. A piece of the same image
    does not need that. Return None when hardly any of the piece lies on the canvas.
    """
    height, width = canvas.shape[:2]
    part = shapes.visible_part(piece, height, width, x, y)
    if part is None or np.count_nonzero(part[0].mask) < 100:
        return None
    visible, left, top = part
    box = np.s_[top : top + visible.mask.shape[0], left : left + visible.mask.shape[1]]
    below, layer = canvas[box], visible.pixels
    fitted = {
        "colour": float(rng.uniform(0.2, 0.8)) if fit and rng.random() < 0.5 else 0.0,
        "lighting": float(rng.uniform(0.3, 0.8)) if fit and rng.random() < 0.3 else 0.0,
    }
    if fitted["colour"]:
        layer = match_colour(layer, visible.mask, below, fitted["colour"])
    if fitted["lighting"]:
        layer = match_lighting(layer, visible.mask, below, fitted["lighting"])
    edge = str(rng.choice(["hard", "feathered", "smeared", "poisson"], p=_EDGES[fit]))
    sigma = float(np.exp(rng.uniform(np.log(0.4), np.log(2.5))))
    if edge == "poisson":
        pasted = shapes.clone_seamlessly(np.ascontiguousarray(below), layer, visible.mask)
    else:
        pasted = shapes.blend(below, layer, shapes.feather(visible.mask, sigma if edge == "feathered" else 0))
    if edge == "smeared":
        pasted = _smear_edge(pasted, visible.mask, sigma)
    result = canvas.copy()
    result[box] = pasted
    mask = np.zeros((height, width), bool)
    mask[box] = visible.mask
    return result, mask, Step("paste", {"x": x, "y": y, **fitted, "edge": edge, "edge_sigma": sigma})


_EDGES = {True: (0.2, 0.55, 0.17, 0.08), False: (0.3, 0.55, 0.15, 0.0)}


def match_colour(layer: Pixels, mask: Mask, reference: Pixels, strength: float) -> Pixels:
    """Move the masked region's colour statistics towards the reference's (Reinhard et al. 2001, in CIELAB).

    `strength` is 0 to 1.
    """
    lab = cv2.cvtColor(layer, cv2.COLOR_RGB2LAB)
    mean, deviation = cv2.meanStdDev(lab, mask=mask.astype(np.uint8))
    wanted = cv2.cvtColor(np.ascontiguousarray(reference), cv2.COLOR_RGB2LAB)
    wanted_mean, wanted_deviation = cv2.meanStdDev(wanted)
    gain = 1 + strength * (np.clip((wanted_deviation + 1) / (deviation + 1), 0.7, 1.4) - 1)
    # A white object stays white and a black one black: an editor does not shift colours further.
    reach = np.array([[40.0], [12.0], [12.0]])
    shift = np.clip(strength * (wanted_mean - mean), -reach, reach)
    levels = np.clip(np.rint((np.arange(256) - mean) * gain + mean + shift), 0, 255).astype(np.uint8)
    moved = cv2.LUT(lab, np.ascontiguousarray(levels.T)[:, None])
    return np.asarray(cv2.cvtColor(moved, cv2.COLOR_LAB2RGB), np.uint8)


def match_lighting(layer: Pixels, mask: Mask, reference: Pixels, strength: float) -> Pixels:
    """Shade the layer by a linear gradient, so that its light comes from the same side as the reference's.

    `strength` is 0 to 1.
    """
    wanted = _brightness_plane(reference, np.ones(mask.shape, bool))
    present = _brightness_plane(layer, mask)
    gain = np.clip(wanted / wanted.mean() / (present / present.mean()), 0.6, 1.6) ** strength
    smooth = cv2.resize(gain.astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(np.clip(layer * smooth[..., None], 0, 255)), np.uint8)


def _brightness_plane(pixels: Pixels, mask: Mask) -> NDArray[np.float64]:
    """Return the plane that best fits the masked region's brightness.

    The result is (16, 16) float64, in units of 8-bit values, and at least 8.
    """
    brightness = cv2.resize(pixels.max(2), (16, 16), interpolation=cv2.INTER_AREA).ravel()
    weight = cv2.resize(mask.astype(np.float32), (16, 16), interpolation=cv2.INTER_AREA).ravel()
    ys, xs = (axis.ravel() for axis in np.indices((16, 16)) / 15)
    design = np.stack([ys, xs, np.ones_like(xs)], 1)
    slopes: NDArray[Any] = np.linalg.lstsq(design * weight[:, None], brightness * weight)[0]
    return np.asarray(np.maximum(design @ slopes, 8.0).reshape(16, 16))


def _smear_edge(pixels: Pixels, mask: Mask, sigma: float) -> Pixels:
    """Blur a band along the mask's edge."""
    band = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    opacity = np.clip(2 * shapes.feather(band > 0, 1.0), 0, 1)
    return shapes.blend(pixels, np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma)), opacity)
