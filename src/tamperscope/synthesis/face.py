"""Face manipulation: a face is swapped with another, morphed with it, reshaped or retouched."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis import shapes
from tamperscope.synthesis.faces import Face
from tamperscope.synthesis.pasting import match_colour
from tamperscope.synthesis.recipe import Canvas, Mask, Pixels, Step

# For each part of a face: its centres, (right, down) from the point between the eyes, and its radius. All
# are in eye distances.
_PARTS: dict[str, tuple[tuple[tuple[float, float], ...], float]] = {
    "eyes": (((-0.5, 0.0), (0.5, 0.0)), 0.42),
    "nose": (((0.0, 0.6),), 0.5),
    "mouth": (((0.0, 1.1),), 0.6),
    "jaw": (((-0.75, 1.1), (0.75, 1.1)), 0.75),
}


def swap_face(
    host: Canvas, face: Face, donor: Pixels, donor_face: Face, donor_name: str, rng: np.random.Generator
) -> Canvas | None:
    """Return `host` with the donor's face over its own, or with both faces mixed (a morph).

    The faces are aligned by the eyes. Return None when the host's face is not wholly on the canvas, and when
    the donor's face would have to be enlarged more than twice.
    """
    area = _inner_face(host.mask.shape, face, rng)
    if area is None:
        return None
    box = shapes.bounding_box(area, 12)
    layer = _aligned(donor, donor_face, face, box)
    if layer is None:
        return None
    below, inside = np.ascontiguousarray(host.pixels[box]), area[box]
    skin = below[inside][None]
    layer = match_colour(layer, inside, skin, float(rng.uniform(0.6, 1.0)))
    morph = bool(rng.random() < 0.35)
    share = float(rng.uniform(0.35, 0.7)) if morph else 1.0
    poisson = bool(rng.random() < 0.4)
    sigma = float(rng.uniform(0.01, 0.06) * face.eye_distance + 0.8)
    mixed = shapes.blend(below, layer, np.full(inside.shape, share, np.float32))
    if poisson:
        swapped = shapes.clone_seamlessly(below, mixed, inside)
    else:
        swapped = shapes.blend(below, mixed, shapes.feather(inside, sigma))
    step = Step(
        "face morph" if morph else "face swap",
        {"photo": donor_name, "share": share, "poisson": poisson, "edge_sigma": sigma},
    )
    return replace(_changed(host, box, swapped, area, step), sources=(*host.sources, donor_name))


def reshape_face(host: Canvas, face: Face, rng: np.random.Generator) -> Canvas | None:
    """Return `host` with eyes, nose, mouth or jaw enlarged or shrunk by a local warp (Gustafsson 1993).

    Return None when less than 32 pixels of the face's width or height are on the canvas.
    """
    left, top, right, bottom = face.box(host.mask.shape[1], host.mask.shape[0])
    box = np.s_[top:bottom, left:right]
    below = np.ascontiguousarray(host.pixels[box])
    if min(below.shape[:2]) < 32:
        return None
    parts = [str(part) for part in rng.choice(list(_PARTS), int(rng.integers(1, 3)), replace=False)]
    ys, xs = (axis.astype(np.float32) for axis in np.indices(below.shape[:2]))
    map_x, map_y, inside, strengths = xs.copy(), ys.copy(), np.zeros(below.shape[:2], bool), []
    for part in parts:
        centres, reach = _PARTS[part]
        strength = float(rng.uniform(0.2, 0.45) * rng.choice([-1, 1]))
        strengths.append(strength)
        radius = reach * face.eye_distance
        for right_by, down_by in centres:
            x, y = face.point(right_by, down_by)
            across, down = xs - (x - left), ys - (y - top)
            falloff = np.clip(1 - np.hypot(across, down) / radius, 0, 1) ** 2
            map_x -= strength * falloff * across
            map_y -= strength * falloff * down
            inside |= falloff > 0.02
    warped = cv2.remap(below, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    step = Step("face warp", {"parts": parts, "strengths": strengths})
    mask = np.zeros(host.mask.shape, bool)
    mask[box] = inside
    return _changed(host, box, np.asarray(warped, np.uint8), mask, step)


def retouch_face(host: Canvas, face: Face, rng: np.random.Generator) -> Canvas | None:
    """Return `host` with the skin smoothed by an edge-preserving filter (Tomasi and Manduchi 1998).

    The eyes and the mouth are not smoothed. Return None when the face is not wholly on the canvas.
    """
    area = _inner_face(host.mask.shape, face, rng)
    if area is None:
        return None
    spared = np.zeros(area.shape, np.uint8)
    for part in ("eyes", "mouth"):
        centres, reach = _PARTS[part]
        for centre in centres:
            x, y = face.point(*centre)
            cv2.ellipse(spared, _oval((x, y), reach * 0.8, reach * 0.5, face), 1, -1)
    area &= spared == 0
    box = shapes.bounding_box(area, 8)
    below = np.ascontiguousarray(host.pixels[box])
    sigma, reach_in_pixels = float(rng.uniform(25, 60)), float(rng.uniform(0.04, 0.09) * face.eye_distance)
    share = float(rng.uniform(0.6, 0.95))
    smooth = np.asarray(cv2.bilateralFilter(below, 9, sigma, reach_in_pixels + 2), np.uint8)
    opacity = share * shapes.feather(area[box], 0.03 * face.eye_distance + 1)
    step = Step("skin retouching", {"sigma": sigma, "share": share})
    return _changed(host, box, shapes.blend(below, smooth, opacity.astype(np.float32)), area, step)


def _changed(host: Canvas, box: tuple[slice, slice], inside: Pixels, mask: Mask, step: Step) -> Canvas:
    pixels = host.pixels.copy()
    pixels[box] = inside
    return replace(host.after(step, pixels), mask=host.mask | mask)


def _aligned(donor: Pixels, donor_face: Face, face: Face, box: tuple[slice, slice]) -> Pixels | None:
    """Return the donor rotated and scaled so that its eyes fall on the host's, cropped to `box` of the host.

    Return None when that would enlarge the donor more than twice.
    """
    scale = face.eye_distance / donor_face.eye_distance
    if scale > 2:
        return None
    (x, y), axis = donor_face.left_eye, np.subtract(donor_face.right_eye, donor_face.left_eye)
    (host_x, host_y), host_axis = face.left_eye, np.subtract(face.right_eye, face.left_eye)
    turn = complex(*host_axis) / complex(*axis)
    matrix = np.array([[turn.real, -turn.imag, 0.0], [turn.imag, turn.real, 0.0]])
    matrix[:, 2] = np.array([host_x - box[1].start, host_y - box[0].start]) - matrix[:, :2] @ [x, y]
    if scale < 0.6:
        donor = np.asarray(cv2.GaussianBlur(donor, (0, 0), 0.35 / scale), np.uint8)
    size = (box[1].stop - box[1].start, box[0].stop - box[0].start)
    warped = cv2.warpAffine(donor, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.uint8)


def _inner_face(shape: tuple[int, ...], face: Face, rng: np.random.Generator) -> Mask | None:
    """Return a mask of the oval from the brows to the chin, or None where the canvas cuts it off."""
    drawing = np.zeros(shape, np.uint8)
    across, down = rng.uniform(0.85, 1.05), rng.uniform(1.1, 1.3)
    cv2.ellipse(drawing, _oval(face.point(0, 0.6), across, down, face), 1, -1)
    edges = drawing[[0, -1]].any() or drawing[:, [0, -1]].any()
    return None if edges or not drawing.any() else drawing > 0


def _oval(
    centre: tuple[float, float], across: float, down: float, face: Face
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return an ellipse in OpenCV's form, tilted like the face; the half axes are given in eye distances."""
    axis: NDArray[np.float64] = np.subtract(face.right_eye, face.left_eye)
    size = (2 * across * face.eye_distance, 2 * down * face.eye_distance)
    return centre, size, float(np.degrees(np.arctan2(axis[1], axis[0])))
