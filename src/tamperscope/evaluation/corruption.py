"""Corruptions that images undergo when they are published, at fixed strengths, for the robustness sweep.

corruption = CORRUPTIONS[1]
corrupted = corruption.apply(pixels)                # an array or a JPEG file; a detector reads both
truth = scaled(truth, *read_image(corrupted).pixels.shape[:2])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Corruption:
    """A named change of a whole image."""

    family: str
    level: str
    apply: Callable[[Pixels], Pixels | bytes]
    """Takes (height, width, 3) uint8 RGB. Returns such an array, or the bytes of a JPEG file if the last step
    is compression, so that a detector can read its quantisation tables and coefficients."""

    @property
    def name(self) -> str:
        """Family and level, as printed in tables."""
        return f"{self.family} {self.level}".strip()


def jpeg(quality: int) -> Callable[[Pixels], bytes]:
    """Return a function that compresses at `quality`, 1 to 100, with libjpeg's tables and 4:2:0 chroma."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    return lambda pixels: cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def blur(sigma: float) -> Callable[[Pixels], Pixels]:
    """Return a function that convolves with a Gaussian of `sigma` pixels."""
    return lambda pixels: np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def noise(sigma: float) -> Callable[[Pixels], Pixels]:
    """Return a function that adds white Gaussian noise of `sigma` grey levels.

    All images of the same size receive the same noise.
    """

    def apply(pixels: Pixels) -> Pixels:
        added = np.random.default_rng(0).normal(0, sigma, pixels.shape)
        return np.clip(np.rint(pixels + added), 0, 255).astype(np.uint8)

    return apply


def resize(factor: float) -> Callable[[Pixels], Pixels]:
    """Return a function that scales both sides by `factor`, below 1, with area averaging."""
    return lambda pixels: _resized(pixels, factor)


def shrink_to(side: int) -> Callable[[Pixels], Pixels]:
    """Return a function that scales an image down until its longer side has at most `side` pixels."""
    return lambda pixels: _resized(pixels, min(1.0, side / max(pixels.shape[:2])))


def chain(*steps: Callable[[Pixels], Pixels | bytes]) -> Callable[[Pixels], Pixels | bytes]:
    """Return a function that applies `steps` in order, decoding between them."""

    def apply(pixels: Pixels) -> Pixels | bytes:
        image: Pixels | bytes = pixels
        for step in steps:
            image = step(_decoded(image))
        return image

    return apply


CORRUPTIONS = (
    *(Corruption("JPEG", str(quality), jpeg(quality)) for quality in (100, 90, 80, 70, 60, 50)),
    *(Corruption("blur", f"σ {sigma:g}", blur(sigma)) for sigma in (1.0, 2.0)),
    *(Corruption("noise", f"σ {sigma:g}", noise(sigma)) for sigma in (5.0, 10.0)),
    *(Corruption("resize", f"{factor:g}", resize(factor)) for factor in (0.75, 0.5)),
    # Social networks limit the size and recompress. Forwarding by messenger or taking a screenshot degrades
    # the image further.
    Corruption("shared", "once", chain(shrink_to(2048), jpeg(80))),
    Corruption("shared", "and forwarded", chain(shrink_to(2048), jpeg(80), shrink_to(1280), jpeg(70))),
    Corruption("shared", "as a screenshot", chain(shrink_to(2048), jpeg(80), resize(0.85), jpeg(75))),
)


def scaled(truth: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Return a (height, width) bool ground truth at the size of its corrupted image.

    A pixel is manipulated when at least half of the area it covers is.
    """
    if truth.shape == (height, width):
        return truth
    shares = cv2.resize(truth.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(shares >= 0.5)


def _resized(pixels: Pixels, factor: float) -> Pixels:
    if factor == 1:
        return pixels
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _decoded(image: Pixels | bytes) -> Pixels:
    if isinstance(image, bytes):
        decoded = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
    return image
