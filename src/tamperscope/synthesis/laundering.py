"""What happens to an image besides forgery: focus, scaling, compression, noise, blur and contrast.

Authentic and forged images go through the same functions, so that an image's history alone never reveals
whether it is forged. A change takes (height, width, 3) uint8 RGB and returns the changed image and the
step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
import PIL.Image
from PIL.JpegPresets import presets

from tamperscope.synthesis.recipe import Canvas, Pixels, Step

_SUBSAMPLINGS = ("4:2:0", "4:4:4", "4:2:2")
_KERNELS = {
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
# Pillow's presets: the tables of Adobe Photoshop's "Save As" (low to maximum) and "Save for Web" (web_...).
_PHOTOSHOP = {name: tables for name, tables in presets.items() if name not in ("low", "web_low")}


@dataclass(frozen=True)
class QuantisationTables:
    """A JPEG's quantisation tables."""

    tables: tuple[tuple[int, ...], ...]
    """One for luminance and, if there is a second one, one for chrominance; 64 steps each."""


@dataclass(frozen=True, eq=False)
class Publication:
    """An image as it was last saved."""

    picture: Canvas
    data: bytes | None
    """The file that decodes to the pixels of `picture`; None when saving was lossless."""
    suffix: str
    """Suffix of the file's name: .jpg, .webp or .png."""


def first_life(
    pixels: Pixels, cameras: Sequence[QuantisationTables], rng: np.random.Generator
) -> tuple[Pixels, list[Step]]:
    """Return an image as it was before editing, and the steps it went through.

    Few images are defocused, and most are compressed once.
    """
    steps: list[Step] = []
    if rng.random() < 0.12:
        pixels, step = shallow_focus(pixels, rng)
        steps.append(step)
    if rng.random() < 0.75:
        pixels, _, step = jpeg(pixels, any_encoder(rng, cameras, (60, 98)), shift=_shift(rng, 0.2))
        steps.append(step)
    return pixels, steps


def publish(
    picture: Canvas, cameras: Sequence[QuantisationTables], rng: np.random.Generator, size: int
) -> Publication:
    """Return an edited image as it is published: a file of `size` x `size` pixels.

    Some images are first changed lightly as a whole. An image is then saved, scaled and saved, saved
    repeatedly, sent through a social network, or captured as a screenshot.
    """
    for probability, change in _CHANGES:
        if rng.random() < probability:
            pixels, step = change(picture.pixels, rng)
            picture = picture.after(step, pixels)
    route = rng.choice(
        ["save", "scale", "resave", "social network", "screenshot"], p=[0.5, 0.15, 0.15, 0.12, 0.08]
    )
    if route == "save":
        return _save(_framed(picture, rng, size), cameras, rng)
    if route == "scale":
        return _save(_framed(_scaled(picture, rng, size, *_FREE_SCALE), rng, size), cameras, rng)
    if route == "resave":
        picture = _framed(picture, rng, size)
        for _ in range(int(rng.integers(1, 3))):
            picture = _compressed(picture, any_encoder(rng, cameras, (60, 98)), _shift(rng, 0.5))
        return _save(picture, cameras, rng)
    if route == "social network":
        # Facebook, Twitter and similar networks scale to a largest side, then save at a moderate quality.
        picture = _compressed(picture, any_encoder(rng, cameras, (85, 98)), (0, 0))
        picture = _framed(_scaled(picture, rng, size, 1.0, 1.12), rng, size)
        return _jpeg_file(picture, Encoder(quality=int(rng.integers(70, 87)), subsampling="4:2:0"))
    # A screenshot shows the image at another scale, with the block grid anywhere. It is stored losslessly
    # or saved once more.
    if rng.random() < 0.6:
        picture = _compressed(picture, any_encoder(rng, cameras, (60, 98)), (0, 0))
    picture = _framed(_scaled(picture, rng, size, *_FREE_SCALE), rng, size)
    return _save(picture, cameras, rng) if rng.random() < 0.5 else Publication(picture, None, ".png")


def save_once(
    picture: Canvas, cameras: Sequence[QuantisationTables], rng: np.random.Generator, size: int
) -> Publication:
    """Return an edited image scaled to `size` x `size` pixels and saved, with nothing else done to it."""
    side = picture.mask.shape[0]
    if side != size:
        name, kernel = choose_kernel(rng, shrinking=side > size)
        resized = picture.resized(size, size, kernel)
        picture = resized.after(Step("resize", {"from": side, "to": size, "kernel": name}), resized.pixels)
    return _save(picture, cameras, rng)


@dataclass(frozen=True)
class Encoder:
    """The settings of a JPEG encoder: libjpeg's tables at some quality, or the tables of other software."""

    quality: int | None = None
    """1 to 100, for the tables of ITU-T T.81 Annex K as libjpeg scales them; None for other tables."""
    subsampling: str = "4:2:0"
    preset: str | None = None
    """Pillow's name of a Photoshop setting."""
    tables: QuantisationTables | None = None

    def encode(self, pixels: Pixels) -> bytes:
        """Return the JPEG file."""
        file = BytesIO()
        chosen = presets[self.preset]["quantization"] if self.preset else self.tables and self.tables.tables
        options = {"quality": self.quality} if chosen is None else {"qtables": chosen}
        PIL.Image.fromarray(pixels).save(file, "JPEG", subsampling=self.subsampling, **options)
        return file.getvalue()

    def describe(self) -> dict[str, object]:
        """Return the settings as plain values."""
        tables = self.preset or (self.tables and [list(table) for table in self.tables.tables])
        return {"tables": tables or "libjpeg", "quality": self.quality, "subsampling": self.subsampling}


def any_encoder(
    rng: np.random.Generator, cameras: Sequence[QuantisationTables], qualities: tuple[int, int]
) -> Encoder:
    """Choose an encoder: mostly libjpeg, otherwise Photoshop or the tables of one of `cameras`.

    `qualities` are libjpeg's lowest and highest quality, both included.
    """
    subsampling = str(rng.choice(_SUBSAMPLINGS, p=[0.55, 0.35, 0.1]))
    kind = rng.choice(["libjpeg", "photoshop", "camera"], p=[0.6, 0.2, 0.2])
    if kind == "photoshop":
        return Encoder(subsampling=subsampling, preset=str(rng.choice(list(_PHOTOSHOP))))
    if kind == "camera" and cameras:
        return Encoder(subsampling=subsampling, tables=cameras[int(rng.integers(len(cameras)))])
    return Encoder(quality=int(rng.integers(qualities[0], qualities[1] + 1)), subsampling=subsampling)


def jpeg(pixels: Pixels, encoder: Encoder, *, shift: tuple[int, int] = (0, 0)) -> tuple[Pixels, bytes, Step]:
    """Compress an image once, and return the decoded pixels, the file and the step.

    `shift` (down, right), in pixels, moves the 8x8 grid off the image's corner.
    """
    top, left = shift
    if top or left:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, top, 0, left, 0, cv2.BORDER_REFLECT_101), np.uint8)
    data = encoder.encode(pixels)
    decoded = np.ascontiguousarray(_decode(data)[top:, left:])
    return decoded, data, Step("jpeg", {**encoder.describe(), "shift": [top, left]})


def contrast(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Change contrast, brightness and gamma of the whole image, sometimes until the highlights clip."""
    gain = float(rng.uniform(0.85, 1.2) if rng.random() < 0.8 else rng.uniform(1.2, 1.7))
    offset, gamma = float(rng.uniform(-15, 15)), float(rng.uniform(0.8, 1.25))
    levels = np.clip((np.arange(256) / 255) ** gamma * 255 * gain + offset, 0, 255).astype(np.uint8)
    changed = np.asarray(cv2.LUT(pixels, levels), np.uint8)
    return changed, Step("contrast", {"gain": gain, "offset": offset, "gamma": gamma})


def blur(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Blur the whole image slightly."""
    sigma = float(rng.uniform(0.3, 1.0))
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8), Step("blur", {"sigma": sigma})


def sharpen(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Sharpen the whole image by unsharp masking."""
    sigma, amount = float(rng.uniform(0.6, 2.0)), float(rng.uniform(0.3, 1.5))
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma)
    sharpened = cv2.addWeighted(pixels, 1 + amount, blurred, -amount, 0)
    return np.asarray(sharpened, np.uint8), Step("sharpen", {"sigma": sigma, "amount": amount})


def noise(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Add white Gaussian noise to the whole image."""
    sigma = float(rng.uniform(1.0, 5.0))
    noisy = pixels + np.float32(sigma) * rng.standard_normal(pixels.shape, np.float32)
    return np.rint(np.clip(noisy, 0, 255)).astype(np.uint8), Step("noise", {"sigma": sigma})


def shallow_focus(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Put part of the scene out of focus, with a soft transition, as a lens with a wide aperture does."""
    height, width = pixels.shape[:2]
    sigma, slope = float(rng.uniform(1.0, 5.0)), float(rng.uniform(3, 15))
    centre, radius = rng.uniform(0.2, 0.8, 2) * (width, height), rng.uniform(0.2, 0.5) * max(height, width)
    across = (np.arange(width, dtype=np.float32) - np.float32(centre[0])) / np.float32(radius)
    down = (np.arange(height, dtype=np.float32) - np.float32(centre[1])) / np.float32(radius)
    distance = np.sqrt(across[None] ** 2 + down[:, None] ** 2)
    sharp = 1 / (1 + np.exp((distance - 1) * np.float32(slope)))
    near = cv2.merge([sharp] * 3)
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma)
    mixed = cv2.add(
        cv2.multiply(pixels, near, dtype=cv2.CV_32F), cv2.multiply(blurred, 1 - near, dtype=cv2.CV_32F)
    )
    return np.asarray(np.rint(mixed), np.uint8), Step("shallow focus", {"sigma": sigma, "slope": slope})


def choose_kernel(rng: np.random.Generator, *, shrinking: bool) -> tuple[str, int]:
    """Choose a common resampling kernel, and return its name and OpenCV's number for it."""
    names = ["bilinear", "bicubic", "area"] if shrinking else ["bilinear", "bicubic"]
    # Lanczos is ten times slower than the others, so it is rare.
    name = "lanczos" if rng.random() < 0.08 else str(rng.choice(names))
    return name, _KERNELS[name]


_Change = Callable[[Pixels, np.random.Generator], tuple[Pixels, Step]]
_CHANGES: tuple[tuple[float, _Change], ...] = ((0.15, contrast), (0.06, blur), (0.08, sharpen), (0.06, noise))
_GRID = 8
# Share of images that are cropped on the grid. Most forgers do not crop, so the host's blocks lie on the
# grid of the final file. Here every image is cropped to size, but a crop on the grid looks as if there had
# been none.
_UNCROPPED = 0.75
# Least and largest side that "scale" and a screenshot scale an image to, relative to its final size.
_FREE_SCALE = (1.0, 1.3)


def _scaled(picture: Canvas, rng: np.random.Generator, size: int, least: float, most: float) -> Canvas:
    before, side = picture.mask.shape[0], int(rng.uniform(least, most) * size)
    name, kernel = choose_kernel(rng, shrinking=side < before)
    resized = picture.resized(side, side, kernel)
    return resized.after(Step("resize", {"from": before, "to": side, "kernel": name}), resized.pixels)


def _framed(picture: Canvas, rng: np.random.Generator, size: int) -> Canvas:
    """Crop to the final size, so that the manipulated region is visible.

    Usually the region that a copy-move copied is visible too.
    """
    side = picture.mask.shape[0]
    shown = picture.mask if picture.source_mask is None else picture.mask | picture.source_mask
    place = []
    for axis in (1, 0):
        occupied = np.flatnonzero(shown.any(axis))
        first, last = (int(occupied[0]), int(occupied[-1]) + 1) if len(occupied) else (0, side)
        # The crop holds all of it where it fits, and otherwise overlaps its middle.
        least, most = max(last - size, 0), min(first, side - size)
        if least > most:
            least = most = int(np.clip((first + last - size) // 2, 0, side - size))
        place.append(int(rng.integers(least, most + 1)))
    left, top = place[1], place[0]
    if picture.mask.any() and rng.random() < 0.3:  # people also crop through what they pasted
        top, left = (int(offset) for offset in rng.integers(0, side - size + 1, 2))
    if rng.random() < _UNCROPPED:
        top, left = top // _GRID * _GRID, left // _GRID * _GRID
    cropped = picture.cropped(top, left, size)
    return cropped.after(Step("crop", {"top": top, "left": left, "size": size}), cropped.pixels)


def _save(picture: Canvas, cameras: Sequence[QuantisationTables], rng: np.random.Generator) -> Publication:
    chance = rng.random()
    if chance < 0.68:
        lowest = 40 if rng.random() < 0.1 else 62
        return _jpeg_file(picture, any_encoder(rng, cameras, (lowest, 100)))
    if chance < 0.74:
        return _webp_file(picture, int(rng.integers(60, 96)))
    return Publication(picture, None, ".png")


def _jpeg_file(picture: Canvas, encoder: Encoder) -> Publication:
    pixels, data, step = jpeg(picture.pixels, encoder)
    return Publication(picture.after(step, pixels), data, ".jpg")


def _webp_file(picture: Canvas, quality: int) -> Publication:
    file = BytesIO()
    PIL.Image.fromarray(picture.pixels).save(file, "WEBP", quality=quality, method=2)
    saved = picture.after(Step("webp", {"quality": quality}), _decode(file.getvalue()))
    return Publication(saved, file.getvalue(), ".webp")


def _compressed(picture: Canvas, encoder: Encoder, shift: tuple[int, int]) -> Canvas:
    pixels, _, step = jpeg(picture.pixels, encoder, shift=shift)
    return picture.after(step, pixels)


def _shift(rng: np.random.Generator, probability: float) -> tuple[int, int]:
    down, right = (int(offset) for offset in rng.integers(0, 8, 2))
    return (down, right) if rng.random() < probability else (0, 0)


def _decode(data: bytes) -> Pixels:
    with PIL.Image.open(BytesIO(data)) as picture:
        return np.asarray(picture)
