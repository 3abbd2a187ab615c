"""Areas to cut, paste, fill: annotated objects and drawn shapes, and how they are placed on a canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cutout:
    """A piece of a picture: its pixels and which of them belong to it, cropped to its bounding box."""

    pixels: NDArray[np.uint8]
    mask: Mask


def drawn_shape(canvas: NDArray[Any], area_share: float, rng: np.random.Generator) -> Mask:
    """Draw a rectangle, ellipse, triangle, polygon or soft blob of about `area_share` of the canvas."""
    height, width = canvas.shape[:2]
    side = np.sqrt(area_share * height * width)
    aspect = np.exp(rng.uniform(-0.6, 0.6))
    half_width, half_height = side * aspect / 2, side / aspect / 2
    centre = np.array(
        [
            rng.uniform(min(half_width, width / 2), max(width - half_width, width / 2)),
            rng.uniform(min(half_height, height / 2), max(height - half_height, height / 2)),
        ]
    )
    kind = rng.choice(["rectangle", "ellipse", "triangle", "polygon", "blob"], p=[0.15, 0.15, 0.1, 0.2, 0.4])
    drawing = np.zeros((height, width), np.uint8)
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
    points = corners * [half_width, half_height] + centre
    cv2.fillPoly(drawing, [np.rint(points).astype(np.int32)], 1)
    return drawing > 0


def cut(pixels: NDArray[np.uint8], mask: Mask) -> Cutout | None:
    """Crop a picture to a mask's bounding box; None when the mask has hardly any pixel."""
    if mask.sum() < 64:
        return None
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    box = np.s_[y : y + height, x : x + width]
    return Cutout(np.ascontiguousarray(pixels[box]), np.ascontiguousarray(mask[box]))


def transform(piece: Cutout, scale: float, degrees: float, *, mirror: bool) -> Cutout:
    """Scale, rotate and mirror a cutout; what lies outside its box stays outside its mask."""
    pixels, mask = piece.pixels, piece.mask
    if mirror:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    height, width = mask.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    new_width, new_height = (
        int(np.ceil(height * sine + width * cosine)),
        int(np.ceil(height * cosine + width * sine)),
    )
    matrix[:, 2] += [(new_width - width) / 2, (new_height - height) / 2]
    size = (max(new_width, 2), max(new_height, 2))
    # Shrinking by more than half aliases under a bicubic kernel, which real editors do not do.
    if scale < 0.6:
        pixels = cv2.GaussianBlur(np.ascontiguousarray(pixels), (0, 0), 0.35 / scale)
    return Cutout(
        np.asarray(
            cv2.warpAffine(
                np.ascontiguousarray(pixels),
                matrix,
                size,
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            np.uint8,
        ),
        np.asarray(cv2.warpAffine(np.ascontiguousarray(mask).astype(np.float32), matrix, size) > 0.5),
    )


def place(piece: Cutout, canvas: NDArray[Any], x: int, y: int) -> tuple[NDArray[np.uint8], Mask]:
    """Put a cutout's top left corner at (x, y) of an empty picture of the canvas's size, cropped to it."""
    height, width = canvas.shape[:2]
    pixels, mask = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
    piece_height, piece_width = piece.mask.shape
    top, left, bottom, right = (
        max(y, 0),
        max(x, 0),
        min(y + piece_height, height),
        min(x + piece_width, width),
    )
    if top < bottom and left < right:
        source = np.s_[top - y : bottom - y, left - x : right - x]
        pixels[top:bottom, left:right] = piece.pixels[source]
        mask[top:bottom, left:right] = piece.mask[source]
    return pixels, mask


def dilate(mask: Mask, radius: int) -> Mask:
    """Grow a mask by `radius` pixels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def soft_edge(mask: Mask, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return an opacity in 0..1 for a mask, with a hand-made edge: hard, or feathered by a few pixels."""
    opacity = mask.astype(np.float32)
    if rng.random() < 0.75:
        opacity = np.asarray(cv2.GaussianBlur(opacity, (0, 0), rng.uniform(0.4, 2.0)), np.float32)
    return opacity


def blend(
    base: NDArray[np.uint8], layer: NDArray[np.uint8], opacity: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Lay `layer` over `base` with a per-pixel opacity in 0..1."""
    weight = opacity[..., None]
    return np.rint(layer * weight + base * (1 - weight)).astype(np.uint8)
