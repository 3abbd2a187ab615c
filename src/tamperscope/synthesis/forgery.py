"""One training example: a photo, forged or left authentic, and everything that is known about it."""

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

# Side of the canvas on which an image is edited, at most, relative to the final size. Where the photo is
# large enough, this leaves room to scale and crop.
_CANVAS = 1.3
# The same for an image with a plain life, which is scaled to its final size after it was edited.
_PLAIN_CANVAS = 2.0
# Most attempts succeed. If all of these fail, the photos are the cause.
_ATTEMPTS = 200
# Least and largest share of an image that a mask may cover. Less teaches nothing, and more is not a local
# change.
_LEAST_SHARE, _LARGEST_SHARE = 0.002, 0.7
# Least mean change of the masked values, 0 to 255. Below it there is nothing to find, for example where
# black was copied to black.
_LEAST_CHANGE = 1.0
# Largest share of the canvas that a copied or removed object may cover. Real edits leave an image around it.
_LARGEST_OBJECT = 0.2


@dataclass(frozen=True)
class Mix:
    """Which images are made, and how often."""

    authentic: float = 0.4
    """Share of images that stay authentic, 0 to 1."""
    types: Mapping[ManipulationType, float] = field(
        default_factory=lambda: {
            ManipulationType.SPLICING: 0.5,
            ManipulationType.COPYMOVE: 0.2,
            ManipulationType.INPAINTING: 0.18,
            ManipulationType.FACE: 0.12,
        }
    )
    """Relative share of each type among the forged images."""
    fillings: Mapping[str, float] = field(default_factory=lambda: METHODS)
    """Relative share of each method, a key of `METHODS`, among the inpainted images."""
    plain: float = 0.25
    """Share of images with a plain life, 0 to 1: a whole photo, scaled down and saved once."""


@dataclass(frozen=True, eq=False)
class Forgery:
    """An image with its ground truth. An authentic image has the `type` None and an empty mask."""

    pixels: Pixels
    """(size, size, 3) uint8: RGB, 0 to 255."""
    mask: Mask
    """(size, size) bool: True where manipulated."""
    type: ManipulationType | None
    recipe: tuple[Step, ...]
    """Every operation, in order."""
    source_mask: Mask | None = None
    """(size, size) bool: True where a copy-move took its copies from; None for other types."""
    sources: tuple[str, ...] = ()
    """Names of the photos it was made from, the host first. A split must keep them together."""
    data: bytes | None = None
    """The file that decodes to `pixels`, when the last step was a lossy compression; else None."""
    suffix: str = ".png"
    """Suffix of that file's name."""


def forge(library: PhotoLibrary, rng: np.random.Generator, size: int, mix: Mix | None = None) -> Forgery:
    """Return one example; the same generator state gives the same bytes.

    A failed attempt is repeated, so the shares of `mix` hold. The exception is face forgeries: none are made
    where the photos show hardly any faces.

    Args:
        library: The photos to make it from.
        rng: The generator of every random choice.
        size: Width and height in pixels.
        mix: Which images are made, and how often; None takes `Mix()`.

    Returns:
        The image with its mask, type and recipe.

    Raises:
        PhotosError: No photo is large enough; the mix has only face forgeries, but the photos show hardly any
            faces; or all attempts failed, for example because a single photo has no donor.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> mix = Mix(authentic=0.0, types={ManipulationType.COPYMOVE: 1.0})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     photo = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
        ...     _ = cv2.imwrite(f"{folder}/photo.png", photo)
        ...     library = PhotoLibrary.open(Path(folder))
        ...     forgery = forge(library, np.random.default_rng(7), size=64, mix=mix)
        >>> forgery.type.value, forgery.pixels.shape, forgery.sources
        ('copymove', (64, 64, 3), ('photo.png',))
    """
    mix = mix or Mix()
    types = {
        kind: share
        for kind, share in mix.types.items()
        if kind is not ManipulationType.FACE or library.shows_faces(size)
    }
    if not types:
        raise PhotosError(f"The photos that are large enough for {size} pixels show hardly any faces.")
    shares = np.array(list(types.values()))
    kind = list(types)[rng.choice(len(types), p=shares / shares.sum())]
    authentic = bool(rng.random() < mix.authentic)
    for _ in range(_ATTEMPTS):
        # An authentic image gets the host that a forgery of this type would have had, so that the content
        # of an image does not reveal whether it is forged.
        photo = library.face_host(rng, size) if kind is ManipulationType.FACE else library.host(rng, size)
        if photo is None:
            continue
        example = _attempt(library, photo, None if authentic else kind, kind, mix, rng, size)
        if example is not None:
            return example
    raise PhotosError(
        f"No {kind.value} forgery of these photos succeeded in {_ATTEMPTS} attempts. Add more photos."
    )


def stream(
    library: PhotoLibrary, seed: int, size: int, mix: Mix | None = None, *, start: int = 0, step: int = 1
) -> Iterator[Forgery]:
    """Yield examples without end: number `start`, `start + step`, and so on.

    An example depends only on the seed and its number. Several workers with a common `step`, each with its
    own `start`, therefore make the same examples as a single worker.

    Args:
        library: The photos to make them from.
        seed: Seed of every random choice.
        size: Width and height in pixels.
        mix: Which images are made, and how often; None takes `Mix()`.
        start: Number of the first example.
        step: Difference between the numbers of consecutive examples.

    Yields:
        The examples, as `forge` returns them.

    Raises:
        PhotosError: The photos cannot be used, as for `forge`.

    Example:
        for forgery in itertools.islice(stream(library, seed=7, size=256), 1000):
            train(forgery.pixels, forgery.mask)
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
    plain = bool(mix.plain and rng.random() < mix.plain)
    host = _whole_scene(library, photo, rng, size) if plain else _scene(library, photo, host_for, rng, size)
    if host is None:
        return None
    if not plain:
        pixels, steps = laundering.first_life(host.picture.pixels, library.quantisation_tables, rng)
        picture = replace(host.picture, pixels=pixels, steps=(*host.picture.steps, *steps))
        host = replace(host, picture=picture)
    edited = host.picture if forged_as is None else _edit(library, host, forged_as, mix, rng)
    if edited is None or (forged_as is not None and _change(host.picture, edited) < _LEAST_CHANGE):
        return None
    publish = laundering.save_once if plain else laundering.publish
    published = publish(edited, library.quantisation_tables, rng, size)
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
    """Return the mean absolute change of the masked values, 0 to 255."""
    difference = cv2.absdiff(before.pixels, after.pixels)
    return float(np.mean(cv2.mean(difference, after.mask.astype(np.uint8))[:3]))


@dataclass(frozen=True, eq=False)
class _Scene:
    """A square crop of a scaled photo, with the object and the face that were found in it."""

    picture: Canvas
    photo: Photo
    object_mask: Mask | None
    face: Face | None


def _scene(
    library: PhotoLibrary, photo: Photo, host_for: ManipulationType, rng: np.random.Generator, size: int
) -> _Scene | None:
    """Return a scaled and cropped photo, or None when the photo cannot be decoded.

    The crop shows a face or an object where the manipulation needs one.
    """
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
    # A crop on the JPEG grid keeps the photo's own blocks aligned, as in an untouched file.
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


def _whole_scene(library: PhotoLibrary, photo: Photo, rng: np.random.Generator, size: int) -> _Scene | None:
    """Return the largest square of a photo, scaled to the size at which it is edited.

    People who scale a camera's photo down and save it once leave no trace of its first compression.
    """
    pixels = library.pixels(photo)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    canvas = int(size * (rng.uniform(1, _PLAIN_CANVAS) if rng.random() < 0.5 else 1))
    canvas = int(np.clip(photo.short_side, size, canvas))
    found = choose_object(library, photo, rng) if rng.random() < 0.7 else None
    face = library.face(photo)
    side = min(height, width)
    top, left = (int(rng.integers(0, length - side + 1)) for length in (height, width))
    crop = np.s_[top : top + side, left : left + side]
    name, kernel = laundering.choose_kernel(rng, shrinking=canvas < side)
    scaled = np.asarray(cv2.resize(pixels[crop], (canvas, canvas), interpolation=kernel), np.uint8)
    steps = (
        Step("photo", {"name": photo.name}),
        Step("crop", {"top": top, "left": left, "size": side}),
        Step("resize", {"scale": canvas / side, "kernel": name}),
    )
    return _Scene(
        Canvas(scaled, np.zeros((canvas, canvas), bool), None, steps, (photo.name,)),
        photo,
        None if found is None else resize_mask(found[0][crop], canvas, canvas),
        None if face is None else face.moved(canvas / side, left * canvas / side, top * canvas / side),
    )


def _anchor(object_mask: Mask | None, face: Face | None) -> tuple[float, float] | None:
    """Return the (x, y) of the face or the object that the crop must show, or None."""
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
    return copy_move(host.picture, shapes.cut_by_hand(_region(host, rng), rng), rng)


def _remove(host: _Scene, mix: Mix, rng: np.random.Generator) -> Canvas | None:
    shares = np.array(list(mix.fillings.values()))
    method = list(mix.fillings)[rng.choice(len(shares), p=shares / shares.sum())]
    # People who remove an object select a little more than the object.
    hole = shapes.dilate(_region(host, rng), int(rng.integers(2, 6)))
    if not fits(hole, method):
        hole = shapes.brush_stroke(hole.shape, rng)
    return inpaint(host.picture, hole, rng, method)


def _region(host: _Scene, rng: np.random.Generator) -> Mask:
    """Return the object that was found in the scene if its size is suitable, else a drawn shape."""
    region = host.object_mask
    if region is None or not 200 <= np.count_nonzero(region) <= _LARGEST_OBJECT * region.size:
        share = float(np.clip(rng.lognormal(np.log(0.025), 0.8), 0.004, 0.2))
        return shapes.drawn_shape(host.picture.mask.shape, share, rng)
    return region


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
    """Return something cut out of another photo, with that photo's own history.

    Return None when no other photo can be used, and when hardly anything was cut out.
    """
    donor = library.donor(host, rng, with_objects=bool(rng.random() < 0.5))
    donor = donor or library.donor(host, rng)
    pixels = library.pixels(donor) if donor else None
    if donor is None or pixels is None:
        return None
    height, width = pixels.shape[:2]
    found = choose_object(library, donor, rng) if rng.random() < 0.85 else None
    mask, found_by = found or (shapes.drawn_shape((height, width), rng.uniform(0.02, 0.15), rng), "drawing")
    # The box is rounded to the JPEG grid, so that the donor's own blocks align with those of its next
    # compression.
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
