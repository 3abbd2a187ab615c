"""Noise inconsistency: regions noisier or cleaner than the rest, given their brightness and texture.

The noise of each block is estimated from a Laplacian residual that cancels straight structure (Immerkaer,
"Fast noise variance estimation", CVIU 64, 1996). It is compared with that of the image's other blocks
(Mahdian and Saic, "Using noise inconsistencies for blind image forensics", Image and Vision Computing 27,
2009). A camera's noise depends on brightness (Liu et al., "Noise estimation from a single image", CVPR 2006),
and no filter is blind to texture. Both are therefore regressed out first, and what remains is compared.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence._maps import of_blocks
from tamperscope.evidence.strength import strength
from tamperscope.images import Image
from tamperscope.interruption import checkpoint
from tamperscope.report import NOTABLE, Evidence, Explanation, percent

NAME = "noise"
EXPLANATION = Explanation(
    what_you_see="How far the noise of each part of the picture departs from that of the rest at the same "
    "brightness and texture.",
    what_it_can_mean="The region comes from another camera or another camera setting, was smoothed or "
    "sharpened, or was made by a program that adds no noise.",
    what_it_cannot="Content that is out of focus, in motion, or treated by a phone's own noise reduction has "
    "less noise than the rest without any forgery. Compression and scaling erase noise everywhere, in pasted "
    "regions and all others alike; this measurement then says nothing.",
)
NOTABLE_AT = 30.0
"""Deviation of a region, in standard errors, from which evidence is notable."""

_BLOCK = 16
"""Side, in pixels, of the squares whose noise is estimated: a multiple of JPEG's 8."""
_STRIP = 32 * _BLOCK
"""Rows that are estimated at a time, to bound the memory."""
_MARGIN = 2 * _BLOCK
"""Rows beyond a strip that its filters reach, at most."""
_FEWEST_BLOCKS = 100
_LEAST_NOISE = 0.35
"""Standard deviation, of 255 levels, below which rounding and compression have replaced the noise."""
_DARKEST, _BRIGHTEST = 12.0, 243.0
"""Mean levels beyond which noise is clipped."""
_DEVIATING = 2.0
"""Standard deviations from which a block counts as part of a deviating region."""
_LARGEST_SHARE = 0.5
"""Share of the blocks above which a deviation is the rule, not the exception."""


class _Blocks(NamedTuple):
    """Statistics of each block, all (blocks down, blocks across)."""

    noise: NDArray[np.float32]
    """Standard deviation, of 255 levels."""
    brightness: NDArray[np.float32]
    """Mean level, 0 to 255."""
    texture: NDArray[np.float32]
    """Standard deviation of structure that is coarser than noise and finer than a block."""


def measure(image: Image) -> Evidence:
    """Return whether a region has more or less noise than the rest.

    The map has the image's `map_shape`: float32, 0 to 1, how far each block deviates.
    """
    if (image.height // _BLOCK) * (image.width // _BLOCK) < _FEWEST_BLOCKS:
        return _not_applicable("The picture is too small to compare the noise of its regions.")
    blocks = _estimate(cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY))
    usable = (
        (blocks.noise > _LEAST_NOISE / 4) & (blocks.brightness > _DARKEST) & (blocks.brightness < _BRIGHTEST)
    )
    if usable.sum() < _FEWEST_BLOCKS or np.median(blocks.noise[usable]) < _LEAST_NOISE:
        return _not_applicable("Compression or smoothing has left no noise to compare.")
    deviation = _deviation(blocks, usable)
    region, significance = _heaviest_region(deviation, usable)
    found = strength(significance, NOTABLE_AT)
    level = float(np.median(blocks.noise[usable]))
    share = percent(region.mean())
    if found < NOTABLE:
        regions = "no region departs from it by more than regions of authentic photos do"
    elif deviation[region].mean() > 0:
        regions = f"{share} of the picture has clearly more noise than its brightness and texture explain"
    else:
        regions = f"{share} of the picture has clearly less noise than its brightness and texture explain"
    finding = f"The picture's noise has a standard deviation of about {level:.1f} of 255 levels; {regions}."
    return Evidence(NAME, EXPLANATION, finding, found, _pixel_map(deviation, image))


def _not_applicable(reason: str) -> Evidence:
    return Evidence(NAME, EXPLANATION, reason, None)


def _estimate(luminance: NDArray[np.uint8]) -> _Blocks:
    strips = []
    for top in range(0, len(luminance) // _BLOCK * _BLOCK, _STRIP):
        checkpoint()
        first = max(0, top - _MARGIN)
        found = _estimate_strip(luminance[first : top + _STRIP + _MARGIN].astype(np.float32))
        inside = slice((top - first) // _BLOCK, (top - first + _STRIP) // _BLOCK)
        strips.append([statistic[inside] for statistic in found])
    return _Blocks(*(np.concatenate(statistic) for statistic in zip(*strips, strict=True)))


def _estimate_strip(luminance: NDArray[np.float32]) -> _Blocks:
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    residual = cv2.filter2D(luminance, -1, kernel)
    band = cv2.GaussianBlur(luminance, (0, 0), 1.5) - cv2.GaussianBlur(luminance, (0, 0), 4)
    return _Blocks(
        np.sqrt(_quietest(residual * residual)),
        _block_means(luminance),
        np.sqrt(_block_means(band * band)),
    )


def _quietest(energy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for each block the mean of its two quieter quarters, without the borders of JPEG's blocks."""
    down, across = (side // _BLOCK for side in energy.shape)
    whole = energy[: down * _BLOCK, : across * _BLOCK].reshape(2 * down, _BLOCK // 2, 2 * across, _BLOCK // 2)
    quarters = whole[:, 1:-1, :, 1:-1].mean(axis=(1, 3)).reshape(down, 2, across, 2)
    ordered = np.sort(quarters.transpose(0, 2, 1, 3).reshape(down, across, 4), axis=2)
    return np.asarray(ordered[:, :, :2].mean(axis=2), np.float32)


def _block_means(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    down, across = (side // _BLOCK for side in plane.shape)
    whole = plane[: down * _BLOCK, : across * _BLOCK]
    return np.asarray(cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA), np.float32)


def _deviation(blocks: _Blocks, usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return each block's log noise beyond what brightness and texture explain, in standard deviations.

    The regression is robust: weights fall off with the deviation (Huber), so a deviating region hardly
    bends the curve of the image.
    """
    level = blocks.brightness / 255
    texture = np.log(blocks.texture + 0.3)
    terms = np.stack([np.ones_like(level), level, level**2, texture, texture**2, level * texture], axis=-1)
    explained, noise = terms[usable].astype(np.float64), np.log(blocks.noise[usable]).astype(np.float64)
    weights = np.ones(len(noise))
    residual, scale = noise, 1.0
    for _ in range(8):
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(explained * root[:, None], noise * root, rcond=None)[0]
        residual = noise - explained @ coefficients
        scale = max(1.4826 * float(np.median(np.abs(residual - np.median(residual)))), 0.05)
        weights = 1.5 / np.maximum(np.abs(residual / scale), 1.5)
    deviation = np.zeros(usable.shape, np.float32)
    deviation[usable] = residual / scale
    return deviation


def _heaviest_region(
    deviation: NDArray[np.float32], usable: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], float]:
    """Return the connected region that departs most, and by how many standard errors of its mean."""
    smooth = cv2.blur(deviation, (3, 3)) / np.maximum(cv2.blur(usable.astype(np.float32), (3, 3)), 1 / 9)
    best, heaviest = np.zeros(deviation.shape, bool), 0.0
    for sign in (1, -1):
        deviating = usable & (sign * smooth > _DEVIATING)
        if deviating.sum() > _LARGEST_SHARE * usable.sum():
            continue
        _, labels = cv2.connectedComponents(deviating.astype(np.uint8))
        sums = np.bincount(labels[deviating], np.abs(deviation[deviating]))
        if not len(sums):
            continue
        label = int(sums.argmax())
        weight = float(sums[label] / np.sqrt((labels == label).sum()))
        if weight > heaviest:
            best, heaviest = labels == label, weight
    return best, heaviest


def _pixel_map(deviation: NDArray[np.float32], image: Image) -> NDArray[np.float32]:
    shown = np.minimum(np.abs(cv2.blur(deviation, (3, 3))) / (2 * _DEVIATING), 1)
    return of_blocks(shown.astype(np.float32), _BLOCK, (image.height, image.width), image.map_shape)
