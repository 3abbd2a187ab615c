"""One training example: a photo, forged or left alone, and everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.report import ManipulationType
from tamperscope.synthesis import laundering, shapes
from tamperscope.synthesis.copymove import copy_move
from tamperscope.synthesis.face import reshape_face, retouch_face, swap_face
from tamperscope.synthesis.inpainting import inpaint
from tamperscope.synthesis.photos import Photo, PhotoLibrary
from tamperscope.synthesis.recipe import Step
from tamperscope.synthesis.shapes import Cutout, Mask
from tamperscope.synthesis.splicing import splice

Pixels = NDArray[np.uint8]

AUTHENTIC_SHARE = 0.4
TYPE_SHARES = {
    ManipulationType.SPLICING: 0.55,
    ManipulationType.COPYMOVE: 0.15,
    ManipulationType.INPAINTING: 0.18,
    ManipulationType.FACE: 0.12,
}
# The picture is edited on a larger canvas, so that it can be scaled and cropped afterwards.
CANVAS_MARGIN = 1.3


@dataclass(frozen=True, eq=False)
class Forgery:
    """An image with its ground truth; `type` is None and the mask empty when it is authentic."""

    pixels: Pixels
    """(size, size, 3) RGB."""
    mask: Mask
    """(size, size): True where manipulated."""
    type: ManipulationType | None
    recipe: tuple[Step, ...]


def forge(library: PhotoLibrary, rng: np.random.Generator, size: int) -> Forgery:
    """Make one example of `size` x `size` pixels, authentic in two cases of five.

    Retries until an attempt succeeds, so the shares of the types hold; the same generator state gives the
    same bytes.
    """
    kind = None if rng.random() < AUTHENTIC_SHARE else _choose_type(library, rng)
    while True:
        example = _attempt(library, kind, rng, size)
        if example is not None:
            return example


def _choose_type(library: PhotoLibrary, rng: np.random.Generator) -> ManipulationType:
    possible = {
        kind: share
        for kind, share in TYPE_SHARES.items()
        if kind is not ManipulationType.FACE or library.with_faces
    }
    shares = np.array(list(possible.values()))
    return list(possible)[rng.choice(len(possible), p=shares / shares.sum())]


def _attempt(
    library: PhotoLibrary, kind: ManipulationType | None, rng: np.random.Generator, size: int
) -> Forgery | None:
    host = _scene(library.face_photo(rng) if kind is ManipulationType.FACE else library.host(rng), rng, size)
    if host is None:
        return None
    pixels, steps = laundering.first_life(host.pixels, rng)
    mask = np.zeros(pixels.shape[:2], bool)
    if kind is not None:
        edited = _edit(library, kind, host, pixels, rng, size)
        if edited is None:
            return None
        pixels, mask, step = edited
        steps.append(step)
    pixels, mask, step = _final_frame(pixels, mask, rng, size)
    if kind is not None and not 60 <= mask.sum() <= 0.7 * mask.size:
        return None
    pixels, later_steps = laundering.later_life(pixels, rng)
    return Forgery(pixels, mask, kind, (*steps, step, *later_steps))


@dataclass(frozen=True, eq=False)
class _Scene:
    """A crop of a photo at some scale, with one of its objects where it has any."""

    photo: Photo
    pixels: Pixels
    object_mask: Mask | None


def _scene(photo: Photo, rng: np.random.Generator, size: int) -> _Scene | None:
    pixels, object_mask = photo.pixels(), photo.object_mask(rng)
    canvas = int(size * CANVAS_MARGIN)
    short = min(pixels.shape[:2])
    smallest = canvas / short
    native = rng.random() < 0.3
    scale = 1.0 if native else float(np.exp(rng.uniform(np.log(min(smallest, 1)), 0)))
    scale = max(scale, smallest)
    if scale > 1.6:
        return None
    height, width = (max(round(side * scale), canvas) for side in pixels.shape[:2])
    if (height, width) != pixels.shape[:2]:
        pixels = laundering.resize(pixels, width, height, rng)[0]
        if object_mask is not None:
            object_mask = laundering.resize(object_mask.astype(np.uint8), width, height, rng)[0] > 0
    # Cropping on the JPEG grid keeps the photo's own blocks aligned, as an untouched file has them.
    step = 8 if rng.random() < 0.6 else 1
    top = int(rng.integers(0, (height - canvas) // step + 1)) * step
    left = int(rng.integers(0, (width - canvas) // step + 1)) * step
    crop = np.s_[top : top + canvas, left : left + canvas]
    return _Scene(
        photo,
        np.ascontiguousarray(pixels[crop]),
        None if object_mask is None else np.ascontiguousarray(object_mask[crop]),
    )


def _edit(
    library: PhotoLibrary,
    kind: ManipulationType,
    host: _Scene,
    pixels: Pixels,
    rng: np.random.Generator,
    size: int,
) -> tuple[Pixels, Mask, Step] | None:
    if kind is ManipulationType.SPLICING:
        piece = _piece(library, host.photo, rng, size)
        return None if piece is None else splice(pixels, piece, rng)
    if kind is ManipulationType.FACE:
        method = rng.choice(["swap", "reshape", "retouch"], p=[0.5, 0.35, 0.15])
        if method == "swap":
            donor = _scene(library.face_photo(rng), rng, size)
            return (
                None if donor is None else swap_face(pixels, laundering.first_life(donor.pixels, rng)[0], rng)
            )
        return (reshape_face if method == "reshape" else retouch_face)(pixels, rng)
    area = host.object_mask
    if area is None or area.sum() < 200 or rng.random() < 0.3:
        area = shapes.drawn_shape(pixels, float(np.exp(rng.uniform(np.log(0.01), np.log(0.15)))), rng)
    if kind is ManipulationType.COPYMOVE:
        return copy_move(pixels, area, rng)
    # Whoever removes an object selects a little more than the object.
    hole = shapes.dilate(area, int(rng.integers(1, 5)))
    return inpaint(pixels, hole, rng)


def _piece(library: PhotoLibrary, host: Photo, rng: np.random.Generator, size: int) -> Cutout | None:
    with_object = rng.random() < 0.7
    donor = _scene(library.donor(host, rng, with_object=with_object), rng, size)
    if donor is None:
        return None
    pixels = laundering.first_life(donor.pixels, rng)[0]
    mask = donor.object_mask
    if mask is None or mask.sum() < 400:
        mask = shapes.drawn_shape(pixels, float(rng.uniform(0.02, 0.3)), rng)
    return shapes.cut(pixels, mask)


def _final_frame(
    pixels: Pixels, mask: Mask, rng: np.random.Generator, size: int
) -> tuple[Pixels, Mask, Step]:
    """Scale the edited picture at times, and crop it to the wanted size."""
    canvas = pixels.shape[0]
    if rng.random() < 0.3:
        side = int(rng.integers(size, int(canvas * 1.2)))
        pixels, step = laundering.resize(pixels, side, side, rng)
        mask = np.asarray(
            cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0.5
        )
    else:
        side, step = canvas, Step("crop")
    centre = np.argwhere(mask)
    top, left = (int(offset) for offset in rng.integers(0, side - size + 1, 2))
    if len(centre) and rng.random() < 0.8:
        anchor = centre[rng.integers(len(centre))]
        top, left = (int(np.clip(anchor[axis] - rng.integers(0, size), 0, side - size)) for axis in (0, 1))
    crop = np.s_[top : top + size, left : left + size]
    return np.ascontiguousarray(pixels[crop]), np.ascontiguousarray(mask[crop]), step
