"""Regions compressed once in an image compressed twice, from the histograms of its DCT coefficients.

Quantising with one step and then with another leaves gaps and peaks at regular places of a coefficient's
histogram (Lin et al., Pattern Recognition 42, 2009). Blocks whose coefficients fall into the gaps were not
part of the first compression (Bianchi and Piva, "Image forgery localization via block-grained analysis of
JPEG artifacts", IEEE TIFS 7, 2012; the aligned case).
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence._maps import of_blocks
from tamperscope.evidence.strength import strength
from tamperscope.images import Image
from tamperscope.interruption import checkpoint
from tamperscope.report import NOTABLE, Evidence, Explanation, percent

NAME = "double_jpeg"
EXPLANATION = Explanation(
    what_you_see="How probable it is that a region was compressed only once, in a picture that was "
    "compressed as a JPEG before.",
    what_it_can_mean="The bright region was pasted, painted or generated between the two compressions.",
    what_it_cannot="Two compressions alone are not a manipulation: most pictures on the web have had them. "
    "Nothing shows if the last compression was much stronger than the first, or if the picture was cropped "
    "or scaled between them. Flat, very dark and overexposed regions reveal little.",
)
NOTABLE_AT = 100.0
"""Log-likelihood ratio, summed over the blocks of a region, from which evidence is notable."""

_FREQUENCIES = tuple((row, column) for row in range(4) for column in range(4) if 1 <= row + column <= 3)
_FEWEST_BLOCKS = 400
_LARGEST_VALUE = 20
"""Larger quantised values are too rare for a histogram."""
_LARGEST_STEP = 60
_ERROR = 0.5
"""Standard deviation that rounding and clipping pixels between two compressions adds to a coefficient."""
_SMALLEST_GAIN = 20.0
"""Nats by which two compressions must explain a histogram better than one."""
_SMALLEST_SHARE = 0.6
"""Share of the coefficients that must have been compressed twice, so that the others are the exception."""
_FEWEST_FREQUENCIES = 3
_FLOOR = 0.02
"""Least likelihood ratio of a value, however impossible. It keeps a single odd block from deciding."""
_MOST_CLIPPED = 0.05
"""Largest share of a block's pixels that may be black or white in some channel."""
_STRIP = 32
"""Rows of blocks that are compressed again at a time."""
_WINDOW = 5
"""Side, in blocks, of the square over which the evidence of a block is summed."""


class _FirstCompression(NamedTuple):
    """What is known about the first quantisation of one frequency."""

    log_ratios: NDArray[np.float32]
    """(_LARGEST_VALUE + 1,): log-likelihood ratio of two compressions to one, indexed by absolute value."""
    share: float
    """Share of the non-zero coefficients that had this first quantisation."""
    gain: float
    """Nats by which it explains the histogram better than a single compression."""


def measure(image: Image) -> Evidence:
    """Return whether regions were compressed only once in an image that was compressed twice.

    The map has the image's `map_shape`: float32, 0 to 1, the probability that a pixel was compressed only
    once.
    """
    if image.jpeg is None:
        return _not_applicable("Only JPEG files contain the coefficients that this measurement reads.")
    coefficients, table = image.jpeg.coefficients[0], image.jpeg.quantisation_tables[0]
    down, across = coefficients.shape[:2]
    # Half a block less in both directions must leave a block.
    if down * across < _FEWEST_BLOCKS or min(down, across) < 2:
        return _not_applicable("The picture is too small for histograms of its coefficients.")
    if image.jpeg.sampling_factors[0] != tuple(map(max, zip(*image.jpeg.sampling_factors, strict=True))):
        return _not_applicable("The picture has fewer luminance than colour samples.")
    reference = _singly_compressed(coefficients, table)
    ratios = np.zeros(coefficients.shape[:2], np.float32)
    shares = []
    for place, (row, column) in enumerate(_FREQUENCIES):
        checkpoint()
        if not 1 <= table[row, column] <= _LARGEST_STEP:
            continue
        values = np.abs(coefficients[:, :, row, column])
        first = _first_compression(values, reference[:, :, place], int(table[row, column]))
        if first.gain >= _SMALLEST_GAIN and first.share >= _SMALLEST_SHARE:
            shares.append(first.share)
            ratios += np.append(first.log_ratios, 0)[np.minimum(values, _LARGEST_VALUE + 1)]
    if len(shares) < _FEWEST_FREQUENCIES:
        nowhere = np.zeros(image.map_shape, np.float32)
        return Evidence(
            NAME, EXPLANATION, "There is no trace of an earlier compression on the same grid.", 0.0, nowhere
        )
    ratios[_clipped(image, ratios.shape)] = 0
    probability = _probability_of_one(ratios, float(np.mean(shares)))
    weight = _heaviest_region(-ratios, probability > 0.5)
    found = strength(weight, NOTABLE_AT)
    share = percent((probability > 0.5).mean())
    where = f"{share} of it was not" if found >= NOTABLE else "no region stands out"
    return Evidence(
        NAME,
        EXPLANATION,
        f"The picture was compressed as a JPEG before; {where}.",
        found,
        _pixel_map(probability, image),
    )


def _not_applicable(reason: str) -> Evidence:
    return Evidence(NAME, EXPLANATION, reason, None)


def _singly_compressed(coefficients: NDArray[np.int16], table: NDArray[np.uint16]) -> NDArray[np.int16]:
    """Estimate the absolute coefficients that the image would have if it had been compressed only once.

    Decoding, shifting by half a block and compressing again removes the traces of a grid (Fridrich, Goljan
    and Hogea 2002). The result is (rows - 1, columns - 1, frequencies) int16, in the order of `_FREQUENCIES`.
    """
    basis = cv2.dct(np.eye(8, dtype=np.float32), flags=cv2.DCT_ROWS).T
    steps = np.maximum(table, 1).astype(np.float32).ravel()
    # One product for all blocks, each a row of 64, is far faster than two small products for each block.
    decode = np.kron(basis, basis)
    encode = (decode.T / steps)[:, [8 * row + column for row, column in _FREQUENCIES]]
    rows, columns = coefficients.shape[0] - 1, coefficients.shape[1]
    again = np.empty((rows, columns - 1, len(_FREQUENCIES)), np.int16)
    for top in range(0, rows, _STRIP):
        checkpoint()
        strip = coefficients[top : top + _STRIP + 1]
        blocks = (strip.reshape(-1, 64) * steps) @ decode
        np.clip(np.rint(blocks, out=blocks), -128, 127, out=blocks)
        samples = blocks.reshape(-1, columns, 8, 8).swapaxes(1, 2).reshape(-1, columns * 8)[4:-4, 4:-4]
        shifted = samples.reshape(-1, 8, columns - 1, 8).swapaxes(1, 2).reshape(-1, 64)
        again[top : top + _STRIP] = np.abs(np.rint(shifted @ encode)).reshape(-1, *again.shape[1:])
    return again


def _first_compression(
    values: NDArray[np.int16], reference: NDArray[np.int16], step: int
) -> _FirstCompression:
    """Estimate the first quantisation step, and the share of coefficients that had it, by maximum likelihood.

    Zeros are left out: their number depends more on the scene than on any compression.
    """
    histogram, single = _histogram(values), _histogram(reference) + 0.5
    expected = _double_to_single(step)
    densities = expected / (expected @ single / single.sum())[:, None]
    shares = np.arange(0.0, 1.0, 0.05)[:, None, None]
    gains = np.log(shares * densities + 1 - shares) @ histogram
    share, first = np.unravel_index(int(gains.argmax()), gains.shape)
    ratios = np.log(np.maximum(densities[first], _FLOOR))
    return _FirstCompression(
        np.append(0, ratios).astype(np.float32), float(shares[share, 0, 0]), float(gains.max())
    )


def _histogram(values: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return how often each absolute value from 1 to `_LARGEST_VALUE` occurs."""
    return np.bincount(values[values <= _LARGEST_VALUE], minlength=_LARGEST_VALUE + 1)[1:]


@functools.cache
def _double_to_single(step: int) -> NDArray[np.float64]:
    """Return how much more often each absolute value occurs after two compressions than after one.

    Rows are first steps and columns absolute values, both from 1. A value collects the multiples of the first
    step that fall into its bin of width `step`. Rounding the pixels in between spreads each multiple.
    """
    edges = (np.arange(1, _LARGEST_VALUE + 2) - 0.5) * step
    rows = []
    for first in range(1, _LARGEST_STEP + 1):
        multiples = first * np.arange(-1, int(edges[-1]) // first + 2)
        below = _normal_cdf((edges[:, None] - multiples) / _ERROR).sum(axis=1)
        rows.append(np.diff(below) * first / step)
    return np.array(rows)


@np.vectorize
def _normal_cdf(deviation: float) -> float:
    return 0.5 * math.erfc(-deviation / math.sqrt(2))


def _probability_of_one(ratios: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Return the probability that each block was compressed only once, given the share compressed twice."""
    evidence = cv2.boxFilter(
        ratios, -1, (_WINDOW, _WINDOW), normalize=False, borderType=cv2.BORDER_REFLECT_101
    )
    odds = share / (1 - share) * np.exp(np.clip(evidence, -50, 50))
    return np.asarray(1 / (1 + odds), np.float32)


def _heaviest_region(weights: NDArray[np.float32], region: NDArray[np.bool_]) -> float:
    """Return the largest sum of weights over a connected part of `region`; 0 if it is empty."""
    count, labels = cv2.connectedComponents(region.astype(np.uint8))
    sums = np.bincount(labels.ravel(), weights.ravel(), minlength=count)[1:]
    return max(0.0, float(sums.max(initial=0.0)))


def _clipped(image: Image, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return for each block (rows, columns) whether clipped pixels disturbed its first compression."""
    extreme = ~cv2.inRange(image.pixels, (1, 1, 1), (254, 254, 254)) & 1
    stored = image.stored(np.asarray(extreme, np.uint8))
    height, width = 8 * shape[0], 8 * shape[1]
    padded = np.zeros((height, width), np.float32)
    padded[: stored.shape[0], : stored.shape[1]] = stored[:height, :width]
    share = cv2.resize(padded, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share > _MOST_CLIPPED)


def _pixel_map(blocks: NDArray[np.float32], image: Image) -> NDArray[np.float32]:
    height, width = image.stored(image.pixels[:, :, 0]).shape
    turned = (height, width) != image.pixels.shape[:2]
    shape = image.map_shape[::-1] if turned else image.map_shape
    return image.upright(of_blocks(blocks, 8, (height, width), shape))
