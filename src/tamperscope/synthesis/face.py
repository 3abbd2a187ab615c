"""Face manipulation: a face swapped, reshaped or retouched."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis import shapes
from tamperscope.synthesis.faces import find_face
from tamperscope.synthesis.recipe import Step
from tamperscope.synthesis.shapes import Cutout, Mask
from tamperscope.synthesis.splicing import match_colour

Pixels = NDArray[np.uint8]


def swap_face(host: Pixels, donor: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask, Step] | None:
    """Replace the host's face by the donor's, scaled to fit and matched in colour."""
    target, source = find_face(host), find_face(donor)
    if target is None or source is None:
        return None
    x, y, width, height = target
    donor_x, donor_y, donor_width, donor_height = source
    face = donor[donor_y : donor_y + donor_height, donor_x : donor_x + donor_width]
    face = np.asarray(cv2.resize(face, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    oval = _oval(height, width)
    layer, mask = shapes.place(Cutout(face, oval), host, x, y)
    layer = match_colour(layer, mask, np.ascontiguousarray(host[y : y + height, x : x + width]), 0.9)
    opacity = np.asarray(
        cv2.GaussianBlur(mask.astype(np.float32), (0, 0), rng.uniform(1, 0.04 * width + 1)), np.float32
    )
    return shapes.blend(host, layer, opacity), mask, Step("face swap", {"box": [x, y, width, height]})


def reshape_face(host: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask, Step] | None:
    """Enlarge or shrink eyes, nose or jaw by a local warp (Gustafsson 1993)."""
    box = find_face(host)
    if box is None:
        return None
    x, y, width, height = box
    part = str(rng.choice(["eyes", "nose", "jaw"]))
    centres = {"eyes": [(0.31, 0.4), (0.69, 0.4)], "nose": [(0.5, 0.58)], "jaw": [(0.5, 0.82)]}[part]
    radius = width * {"eyes": 0.2, "nose": 0.22, "jaw": 0.36}[part]
    strength = float(rng.uniform(0.25, 0.5) * rng.choice([-1, 1]))
    ys, xs = np.mgrid[: host.shape[0], : host.shape[1]].astype(np.float32)
    map_x, map_y, mask = xs.copy(), ys.copy(), np.zeros(host.shape[:2], bool)
    for centre_x, centre_y in centres:
        dx, dy = xs - (x + centre_x * width), ys - (y + centre_y * height)
        falloff = np.clip(1 - np.hypot(dx, dy) / radius, 0, 1) ** 2
        map_x -= strength * falloff * dx
        map_y -= strength * falloff * dy
        mask |= falloff > 0.02
    warped = cv2.remap(host, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.uint8), mask, Step("face warp", {"part": part, "strength": strength})


def retouch_face(host: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask, Step] | None:
    """Smooth the skin of the face with an edge-preserving filter (Tomasi and Manduchi 1998)."""
    box = find_face(host)
    if box is None:
        return None
    x, y, width, height = box
    blank = np.zeros((height, width, 3), np.uint8)
    _, mask = shapes.place(Cutout(blank, _oval(height, width)), host, x, y)
    sigma = float(rng.uniform(25, 60))
    smooth = cv2.bilateralFilter(host, 9, sigma, rng.uniform(4, 9))
    opacity = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3), np.float32)
    return shapes.blend(host, np.asarray(smooth, np.uint8), opacity), mask, Step("retouch", {"sigma": sigma})


def _oval(height: int, width: int) -> Mask:
    oval = np.zeros((height, width), np.uint8)
    cv2.ellipse(oval, (width // 2, height // 2), (int(width * 0.4), int(height * 0.48)), 0, 0, 360, 1, -1)
    return oval > 0
