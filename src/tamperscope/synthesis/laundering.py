"""What happens to pictures besides forgery: scaling, compression, noise, blur, contrast.

Authentic and forged images go through the same functions, so that history alone never gives the answer away.
Each function takes (height, width, 3) RGB and returns the changed picture and what it did.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis.recipe import Step

Pixels = NDArray[np.uint8]

_SUBSAMPLING = {
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}
_INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_AREA)


def first_life(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, list[Step]]:
    """What a picture went through before anybody edited it: rarely defocus, mostly one compression."""
    steps: list[Step] = []
    if rng.random() < 0.12:
        pixels, step = shallow_focus(pixels, rng)
        steps.append(step)
    if rng.random() < 0.75:
        pixels, step = jpeg(pixels, int(rng.integers(68, 99)), rng, shifted=rng.random() < 0.3)
        steps.append(step)
    return pixels, steps


def later_life(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, list[Step]]:
    """What a picture goes through after editing: light changes to the whole, then mostly one compression."""
    steps: list[Step] = []
    for probability, change in ((0.12, contrast), (0.06, blur), (0.06, sharpen), (0.08, noise)):
        if rng.random() < probability:
            pixels, step = change(pixels, rng)
            steps.append(step)
    chance = rng.random()
    if chance < 0.80:
        pixels, step = jpeg(pixels, int(rng.integers(55, 100)), rng, shifted=False)
        steps.append(step)
    elif chance < 0.86:
        pixels, step = webp(pixels, rng)
        steps.append(step)
    return pixels, steps


def jpeg(pixels: Pixels, quality: int, rng: np.random.Generator, *, shifted: bool) -> tuple[Pixels, Step]:
    """Compress once at `quality` (1 to 100); `shifted` moves the 8x8 grid off the picture's corner."""
    subsampling = str(rng.choice(list(_SUBSAMPLING), p=[0.6, 0.1, 0.3]))
    top, left = (int(offset) for offset in rng.integers(0, 8, 2)) if shifted else (0, 0)
    padded = cv2.copyMakeBorder(pixels, top, 0, left, 0, cv2.BORDER_REFLECT_101)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SUBSAMPLING[subsampling]]
    decoded = _through_codec(padded, ".jpg", options)[top:, left:]
    return decoded, Step("jpeg", {"quality": quality, "subsampling": subsampling, "shift": [top, left]})


def webp(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Compress once as lossy WebP."""
    quality = int(rng.integers(60, 96))
    return _through_codec(pixels, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality]), Step(
        "webp", {"quality": quality}
    )


def resize(pixels: Pixels, width: int, height: int, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Resample to `width` x `height` with one of the usual kernels."""
    shrinking = width < pixels.shape[1]
    kernel = int(rng.choice(_INTERPOLATIONS if shrinking else _INTERPOLATIONS[:3]))
    resized = cv2.resize(pixels, (width, height), interpolation=kernel)
    return np.asarray(resized, np.uint8), Step("resize", {"width": width, "height": height, "kernel": kernel})


def contrast(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Change contrast, brightness and gamma of the whole picture a little."""
    gain, offset, gamma = rng.uniform(0.85, 1.2), rng.uniform(-15, 15), rng.uniform(0.8, 1.25)
    levels = np.clip((np.arange(256) / 255) ** gamma * 255 * gain + offset, 0, 255).astype(np.uint8)
    return np.asarray(levels[pixels]), Step("contrast", {"gain": gain, "offset": offset, "gamma": gamma})


def blur(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Blur the whole picture slightly."""
    sigma = rng.uniform(0.3, 1.0)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8), Step("blur", {"sigma": sigma})


def sharpen(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Unsharp-mask the whole picture."""
    sigma, amount = rng.uniform(0.6, 2.0), rng.uniform(0.3, 1.5)
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma)
    sharpened = cv2.addWeighted(pixels, 1 + amount, blurred, -amount, 0)
    return np.asarray(sharpened, np.uint8), Step("sharpen", {"sigma": sigma, "amount": amount})


def noise(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Add white Gaussian noise to the whole picture."""
    sigma = rng.uniform(1.0, 5.0)
    noisy = pixels + rng.normal(0, sigma, pixels.shape).astype(np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8), Step("noise", {"sigma": sigma})


def shallow_focus(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Step]:
    """Put a part of the scene out of focus, with a soft transition, as a lens with a wide aperture does."""
    height, width = pixels.shape[:2]
    sigma = rng.uniform(1.0, 5.0)
    centre, radius = rng.uniform(0.2, 0.8, 2) * (width, height), rng.uniform(0.2, 0.5) * max(height, width)
    ys, xs = np.mgrid[:height, :width]
    distance = np.hypot(xs - centre[0], ys - centre[1]) / radius
    sharp = 1 / (1 + np.exp((distance - 1) * rng.uniform(3, 15)))
    weight = sharp[..., None].astype(np.float32)
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma)
    mixed = np.rint(pixels * weight + blurred * (1 - weight)).astype(np.uint8)
    return mixed, Step("shallow focus", {"sigma": sigma})


def _through_codec(pixels: Pixels, suffix: str, options: list[int]) -> Pixels:
    encoded = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1]
    return np.asarray(cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)
