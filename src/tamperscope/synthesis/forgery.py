"""One training example: a photo, forged or left alone, and everything that is known about it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from tamperscope.errors import PhotosError
from tamperscope.report import ManipulationType
from tamperscope.synthesis import laundering, shapes
from tamperscope.synthesis.copymove import copy_move
from tamperscope.synthesis.face import reshape_face, retouch_face, swap_face
from tamperscope.synthesis.faces import Face
from tamperscope.synthesis.inpainting import METHODS, fits, inpaint
from tamperscope.synthesis.objects import choose_object
from tamperscope.synthesis.photos import Photo, PhotoLibrary
from tamperscope.synthesis.recipe import Canvas, Mask, Pixels, Step, resize_mask
from tamperscope.synthesis.splicing import Donation, splice

# The picture is edited on a larger canvas where the photo has one, so that it can be scaled and cropped.
_CANVAS = 1.3
# Most attempts succeed; after so many the photos are to blame.
_ATTEMPTS = 200
# Least and largest share of an image that a mask covers: less teaches nothing, more is no local change.
_LEAST_SHARE, _LARGEST_SHARE = 0.002, 0.7
# Mean change of the masked values, 0 to 255, below which there is nothing to find: black copied to black.
_LEAST_CHANGE = 1.0
# Whoever copies or removes something has a picture left around it.
_LARGEST_OBJECT = 0.2


@dataclass(frozen=True)
class Mix:
    """What is made, and how often."""

    authentic: float = 0.4
    """Share of images that are left alone, 0 to 1."""
    types: Mapping[ManipulationType, float] = field(
        default_factory=lambda: {
            ManipulationType.SPLICING: 0.5,
            ManipulationType.COPYMOVE: 0.2,
            ManipulationType.INPAINTING: 0.18,
            ManipulationType.FACE: 0.12,
        }
    )
    """Relative share of each type among the forged ones."""
    fillings: Mapping[str, float] = field(default_factory=lambda: METHODS)
    """Relative share of each method among the inpainted ones."""


@dataclass(frozen=True, eq=False)
class Forgery:
    """An image with its ground truth; `type` is None and the mask empty when it is authentic."""

    pixels: Pixels
    """(size, size, 3) RGB."""
    mask: Mask
    """(size, size): True where manipulated."""
    type: ManipulationType | None
    recipe: tuple[Step, ...]
    source_mask: Mask | None = None
    """(size, size): True where the copies of a copy-move were taken from; None for other types."""
    sources: tuple[str, ...] = ()
    """Names of the photos it was made from, the host first: what a split must keep together."""
    data: bytes | None = None
    """The file that decodes to `pixels` when the last step was a lossy compression, else None."""
    suffix: str = ".png"
    """How the name of that file ends."""


def forge(library: PhotoLibrary, rng: np.random.Generator, size: int, mix: Mix | None = None) -> Forgery:
    """Make one example of `size` x `size` pixels; the same generator state gives the same bytes.

    Retries until an attempt succeeds, so the shares of `mix` hold; only face forgeries are left out where the
    photos show hardly any face.

    Raises PhotosError when no photo is large enough, nothing but face forgeries is wanted of photos without
    faces, or the photos do not serve: a single one, say, has no donor.
    """
    mix = mix or Mix()
    types = {
        kind: share
        for kind, share in mix.types.items()
        if kind is not ManipulationType.FACE or library.shows_faces(size)
    }
    if not types:
        raise PhotosError(f"There are hardly any faces in the photos that allow {size} pixels.")
    shares = np.array(list(types.values()))
    kind = list(types)[rng.choice(len(types), p=shares / shares.sum())]
    authentic = bool(rng.random() < mix.authentic)
    for _ in range(_ATTEMPTS):
        # An authentic image has the host that a forgery of some type would have had: what a picture shows
        # must not tell whether it is forged.
        photo = library.face_host(rng, size) if kind is ManipulationType.FACE else library.host(rng, size)
        if photo is None:
            continue
        example = _attempt(library, photo, None if authentic else kind, kind, mix, rng, size)
        if example is not None:
            return example
    raise PhotosError(
        f"In {_ATTEMPTS} attempts no {kind.value} came about with these photos; give more of them."
    )


def stream(
    library: PhotoLibrary, seed: int, size: int, mix: Mix | None = None, *, start: int = 0, step: int = 1
) -> Iterator[Forgery]:
    """Yield examples number `start`, `start + step`, ... for ever.

    Each depends on the seed and its number alone, so several workers with their own `start` and a common
    `step` make together what one makes alone.
    """
    for number in itertools.count(start, step):
        yield forge(library, np.random.default_rng([seed, number]), size, mix)


def _attempt(
    library: PhotoLibrary,
    photo: Photo,
    forged_as: ManipulationType | None,
    host_for: ManipulationType,
    mix: Mix,
    rng: np.random.Generator,
    size: int,
) -> Forgery | None:
    host = _scene(library, photo, host_for, rng, size)
    if host is None:
        return None
    pixels, steps = laundering.first_life(host.picture.pixels, library.quantisation_tables, rng)
    host = replace(host, picture=replace(host.picture, pixels=pixels, steps=(*host.picture.steps, *steps)))
    edited = host.picture if forged_as is None else _edit(library, host, forged_as, mix, rng)
    if edited is None or (forged_as is not None and _change(host.picture, edited) < _LEAST_CHANGE):
        return None
    published = laundering.publish(edited, library.quantisation_tables, rng, size)
    final = published.picture
    share = np.count_nonzero(final.mask) / final.mask.size
    if forged_as is not None and not _LEAST_SHARE <= share <= _LARGEST_SHARE:
        return None
    return Forgery(
        final.pixels,
        final.mask,
        forged_as,
        final.steps,
        final.source_mask,
        final.sources,
        published.data,
        published.suffix,
    )


def _change(before: Canvas, after: Canvas) -> float:
    """Return the mean absolute change of the values under the mask."""
    difference = cv2.absdiff(before.pixels, after.pixels)
    return float(np.mean(cv2.mean(difference, after.mask.astype(np.uint8))[:3]))


@dataclass(frozen=True, eq=False)
class _Scene:
    """A square crop of a photo at some scale, with what was found in it."""

    picture: Canvas
    photo: Photo
    object_mask: Mask | None
    face: Face | None


def _scene(
    library: PhotoLibrary, photo: Photo, host_for: ManipulationType, rng: np.random.Generator, size: int
) -> _Scene | None:
    """Scale and crop a photo; the crop holds the face or an object where the manipulation needs one."""
    pixels = library.pixels(photo)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    object_mask = None
    if host_for in (ManipulationType.COPYMOVE, ManipulationType.INPAINTING) and rng.random() < 0.7:
        object_mask, _ = choose_object(library, photo, rng) or (None, "")
    face = library.face(photo) if host_for is ManipulationType.FACE else None
    canvas = int(np.clip(photo.short_side, size, size * _CANVAS))
    smallest = canvas / photo.short_side
    native = rng.random() < 0.35
    scale = max(1.0 if native else float(np.exp(rng.uniform(np.log(min(smallest, 1)), 0))), smallest)
    scaled_height, scaled_width = (max(round(side * scale), canvas) for side in (height, width))
    x, y = _anchor(object_mask, face) or (rng.uniform(0, width), rng.uniform(0, height))
    # Cropping on the JPEG grid keeps the photo's own blocks aligned, as an untouched file has them.
    grid = 8 if rng.random() < 0.6 else 1
    left, top = (
        int(np.clip(centre * scale - canvas * rng.uniform(0.35, 0.65), 0, side - canvas)) // grid * grid
        for centre, side in ((x, scaled_width), (y, scaled_height))
    )
    crop = np.s_[top : top + canvas, left : left + canvas]
    steps = [Step("photo", {"name": photo.name})]
    if (scaled_height, scaled_width) != (height, width):
        name, kernel = laundering.choose_kernel(rng, shrinking=scale < 1)
        pixels = np.asarray(cv2.resize(pixels, (scaled_width, scaled_height), interpolation=kernel), np.uint8)
        object_mask = None if object_mask is None else resize_mask(object_mask, scaled_width, scaled_height)
        steps.append(Step("resize", {"scale": scale, "kernel": name}))
    steps.append(Step("crop", {"top": top, "left": left, "size": canvas}))
    mask = np.zeros((canvas, canvas), bool)
    return _Scene(
        Canvas(np.ascontiguousarray(pixels[crop]), mask, None, tuple(steps), (photo.name,)),
        photo,
        None if object_mask is None else np.ascontiguousarray(object_mask[crop]),
        None if face is None else face.moved(scale, left, top),
    )


def _anchor(object_mask: Mask | None, face: Face | None) -> tuple[float, float] | None:
    """Return (x, y) of what the crop is to show, if anything in particular."""
    if face is not None:
        return face.point(0, 0.5)
    if object_mask is None:
        return None
    x, y, width, height = cv2.boundingRect(object_mask.astype(np.uint8))
    return x + width / 2, y + height / 2


def _edit(
    library: PhotoLibrary, host: _Scene, kind: ManipulationType, mix: Mix, rng: np.random.Generator
) -> Canvas | None:
    if kind is ManipulationType.SPLICING:
        return _splice_several(library, host, rng)
    if kind is ManipulationType.FACE:
        return _edit_face(library, host, rng)
    if kind is ManipulationType.INPAINTING:
        return _remove(host, mix, rng)
    return copy_move(host.picture, shapes.cut_by_hand(_area(host, rng), rng), rng)


def _remove(host: _Scene, mix: Mix, rng: np.random.Generator) -> Canvas | None:
    shares = np.array(list(mix.fillings.values()))
    method = list(mix.fillings)[rng.choice(len(shares), p=shares / shares.sum())]
    # Whoever removes an object selects a little more than the object.
    hole = shapes.dilate(_area(host, rng), int(rng.integers(2, 6)))
    if not fits(hole, method):
        hole = shapes.brush_stroke(hole.shape, rng)
    return inpaint(host.picture, hole, rng, method)


def _area(host: _Scene, rng: np.random.Generator) -> Mask:
    """Return the object that was found in the scene, if it leaves a picture around it, or a drawn shape."""
    area = host.object_mask
    if area is None or not 200 <= np.count_nonzero(area) <= _LARGEST_OBJECT * area.size:
        share = float(np.clip(rng.lognormal(np.log(0.025), 0.8), 0.004, 0.2))
        return shapes.drawn_shape(host.picture.mask.shape, share, rng)
    return area


def _splice_several(library: PhotoLibrary, host: _Scene, rng: np.random.Generator) -> Canvas | None:
    picture: Canvas | None = host.picture
    for _ in range(int(rng.choice([1, 2, 3], p=[0.86, 0.1, 0.04]))):
        donation = _donation(library, host.photo, rng)
        if picture is None or donation is None:
            return None
        picture = splice(picture, donation, rng)
    return picture


def _edit_face(library: PhotoLibrary, host: _Scene, rng: np.random.Generator) -> Canvas | None:
    if host.face is None:
        return None
    method = rng.choice(["swap", "reshape", "retouch"], p=[0.55, 0.3, 0.15])
    if method == "reshape":
        return reshape_face(host.picture, host.face, rng)
    if method == "retouch":
        return retouch_face(host.picture, host.face, rng)
    donor = library.donor(host.photo, rng, with_face=True)
    pixels, face = (library.pixels(donor), library.face(donor)) if donor else (None, None)
    if donor is None or pixels is None or face is None:
        return None
    pixels, _ = laundering.first_life(pixels, library.quantisation_tables, rng)
    return swap_face(host.picture, host.face, pixels, face, donor.name, rng)


def _donation(library: PhotoLibrary, host: Photo, rng: np.random.Generator) -> Donation | None:
    """Cut something out of another photo, with that photo's own history."""
    donor = library.donor(host, rng, with_objects=bool(rng.random() < 0.5))
    donor = donor or library.donor(host, rng)
    pixels = library.pixels(donor) if donor else None
    if donor is None or pixels is None:
        return None
    height, width = pixels.shape[:2]
    found = choose_object(library, donor, rng) if rng.random() < 0.85 else None
    mask, found_by = found or (shapes.drawn_shape((height, width), rng.uniform(0.02, 0.15), rng), "drawing")
    # Rounded to the JPEG grid, so that the donor's own blocks stay aligned with those of its next life.
    rows, columns = (slice(side.start // 8 * 8, side.stop) for side in shapes.bounding_box(mask, 16))
    around, mask = np.ascontiguousarray(pixels[rows, columns]), mask[rows, columns]
    around, _ = laundering.first_life(around, library.quantisation_tables, rng)
    piece = shapes.cut(around, mask)
    if piece is None:
        return None
    box = shapes.bounding_box(mask, 0)
    borders = {
        "left": columns.start + box[1].start <= 2,
        "right": columns.start + box[1].stop >= width - 2,
        "bottom": rows.start + box[0].stop >= height - 2,
    }
    return Donation(
        piece,
        donor.name,
        found_by,
        (rows.start + (box[0].start + box[0].stop) / 2) / height,
        frozenset(name for name, cut_off in borders.items() if cut_off and found_by != "drawing"),
    )
