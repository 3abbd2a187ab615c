"""Regions of images: draw them, cut them out, transform them, and lay them over an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis.recipe import Mask, Pixels

# Pixels that a cutout keeps around its mask, so that a soft edge shows the surroundings it was cut from.
_MARGIN = 6


@dataclass(frozen=True, eq=False)
class Cutout:
    """A piece of an image, with some of its surroundings."""

    pixels: Pixels
    """(height, width, 3) uint8: RGB, 0 to 255."""
    mask: Mask
    """(height, width) bool: True where a pixel belongs to the piece."""


def drawn_shape(shape: tuple[int, ...], area_share: float, rng: np.random.Generator) -> Mask:
    """Return a mask of a random rectangle, ellipse, triangle, polygon or blob.

    `shape` is the (height, width) of the canvas. The drawing covers about `area_share` of it, 0 to 1.
    """
    height, width = shape
    side = np.sqrt(area_share * height * width)
    aspect = np.exp(rng.uniform(-0.5, 0.5))
    half_width, half_height = side * aspect / 2, side / aspect / 2
    centre = np.array(
        [
            rng.uniform(min(half_width, width / 2), max(width - half_width, width / 2)),
            rng.uniform(min(half_height, height / 2), max(height - half_height, height / 2)),
        ]
    )
    kind = rng.choice(
        ["rectangle", "ellipse", "triangle", "polygon", "blob"], p=[0.12, 0.15, 0.08, 0.2, 0.45]
    )
    if kind == "rectangle":
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    elif kind == "triangle":
        corners = np.array([[0, -1.3], [1.2, 1], [-1.2, 1]], float)
    else:
        count = {"ellipse": 48, "polygon": int(rng.integers(5, 10)), "blob": 48}[str(kind)]
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
        radius = np.full(count, 1.1)
        if kind == "polygon":
            radius = rng.uniform(0.7, 1.4, count)
        if kind == "blob":
            for harmonic in range(2, 6):
                radius += rng.normal(0, 0.35 / harmonic) * np.cos(
                    harmonic * angles + rng.uniform(0, 2 * np.pi)
                )
        corners = np.stack([np.cos(angles), np.sin(angles)], 1) * np.clip(radius, 0.3, 2)[:, None]
    tilt = rng.normal(0, 0.25) if rng.random() < 0.5 else 0.0
    turned = (
        corners
        * [half_width, half_height]
        @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    )
    drawing = np.zeros((height, width), np.uint8)
    cv2.fillPoly(drawing, [np.rint(turned + centre).astype(np.int32)], 1)
    return drawing > 0


def brush_stroke(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Return a mask of a curved stroke of a round brush, 8 to 28 pixels wide; `shape` is (height, width)."""
    height, width = shape
    points = [rng.uniform(0.1, 0.9, 2) * (width, height)]
    heading = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(2, 6))):
        heading += rng.normal(0, 0.5)
        step = rng.uniform(0.05, 0.15) * min(height, width)
        points.append(points[-1] + step * np.array([np.cos(heading), np.sin(heading)]))
    drawing = np.zeros((height, width), np.uint8)
    cv2.polylines(drawing, [np.rint(points).astype(np.int32)], False, 1, int(rng.integers(8, 29)))
    return drawing > 0


def cut_by_hand(mask: Mask, rng: np.random.Generator) -> Mask:
    """Return `mask` as a person would select it by hand.

    The outline may consist of straight lasso segments, and may run a little inside or outside.
    """
    cut = mask.astype(np.uint8)
    if rng.random() < 0.5:
        contours, _ = cv2.findContours(cut, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        precision = rng.uniform(1, 4)
        cut = np.zeros_like(cut)
        cv2.fillPoly(cut, [cv2.approxPolyDP(contour, precision, True) for contour in contours], 1)
    amount = int(rng.integers(-2, 4))
    if amount:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(amount) + 1,) * 2)
        cut = (cv2.dilate if amount > 0 else cv2.erode)(cut, kernel)
    return cut > 0 if np.count_nonzero(cut) >= 64 else mask


def cut(pixels: Pixels, mask: Mask) -> Cutout | None:
    """Return the part of an image inside a mask's bounding box and a small margin.

    Return None when the mask has fewer than 64 pixels.
    """
    if np.count_nonzero(mask) < 64:
        return None
    box = bounding_box(mask, _MARGIN)
    return Cutout(np.ascontiguousarray(pixels[box]), np.ascontiguousarray(mask[box]))


def bounding_box(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns of a mask's bounding box, with a margin and within the canvas."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return (
        slice(max(y - margin, 0), min(y + height + margin, mask.shape[0])),
        slice(max(x - margin, 0), min(x + width + margin, mask.shape[1])),
    )


def transform(piece: Cutout, scale: float, degrees: float, *, mirror: bool) -> Cutout:
    """Return a cutout scaled, rotated and mirrored; what lies outside its box stays outside its mask."""
    pixels, mask = piece.pixels, piece.mask
    if mirror:
        pixels, mask = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    if scale == 1 and degrees == 0:
        return Cutout(pixels, mask)
    height, width = mask.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (
        max(int(np.ceil(height * sine + width * cosine)), 2),
        max(int(np.ceil(height * cosine + width * sine)), 2),
    )
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    if scale < 0.6:
        # Shrinking this much with a bicubic kernel alone would alias, which real editors avoid.
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.35 / scale), np.uint8)
    warped = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return Cutout(
        np.asarray(warped, np.uint8),
        np.asarray(cv2.warpAffine(mask.astype(np.float32), matrix, size) > 0.5),
    )


def visible_part(piece: Cutout, height: int, width: int, x: int, y: int) -> tuple[Cutout, int, int] | None:
    """Return the part of a piece at (x, y) that lies on a canvas, and that part's own (x, y).

    Return None when no part of it does.
    """
    top, left = max(-y, 0), max(-x, 0)
    bottom, right = min(piece.mask.shape[0], height - y), min(piece.mask.shape[1], width - x)
    if top >= bottom or left >= right:
        return None
    box = np.s_[top:bottom, left:right]
    part = Cutout(np.ascontiguousarray(piece.pixels[box]), np.ascontiguousarray(piece.mask[box]))
    return part, x + left, y + top


def dilate(mask: Mask, radius: int) -> Mask:
    """Return a mask grown by `radius` pixels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def feather(mask: Mask, sigma: float) -> NDArray[np.float32]:
    """Return an opacity that crosses one half at the mask's edge: (height, width) float32, 0 to 1.

    `sigma` is in pixels; 0 keeps the edge hard.
    """
    opacity = mask.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(opacity, (0, 0), sigma), np.float32) if sigma > 0 else opacity


def blend(base: Pixels, layer: NDArray[Any], opacity: NDArray[np.float32]) -> Pixels:
    """Return `base` with `layer` over it, at an opacity per pixel: (height, width) float32, 0 to 1."""
    below = base.astype(np.float32)
    below += (layer - below) * opacity[..., None]
    return np.asarray(np.rint(np.clip(below, 0, 255)), np.uint8)


def clone_seamlessly(base: Pixels, layer: Pixels, mask: Mask) -> Pixels:
    """Return `base` with the masked part of `layer` blended in by its gradients (Perez et al. 2003)."""
    inner = mask.astype(np.uint8)
    # OpenCV solves within the mask and needs its rim to lie inside the image.
    inner[[0, -1], :] = inner[:, [0, -1]] = 0
    x, y, width, height = cv2.boundingRect(inner)
    if min(width, height) < 4:
        return blend(base, layer, mask.astype(np.float32))
    centre = (x + width // 2, y + height // 2)
    return np.asarray(cv2.seamlessClone(layer, base, inner * 255, centre, cv2.NORMAL_CLONE), np.uint8)
