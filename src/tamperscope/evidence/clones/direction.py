"""Which of two regions that repeat one another was pasted, from the traces that pasting leaves.

Both regions hold the same content, so they differ in only three ways. The first is how the content sits in
its surroundings: a paste interrupts colour and texture at its outline and has an edge along it, while the
scene that the content came from continues. The second is whether the content was interpolated when it was
copied: then the copy is smoother. The third is compression: what was put in between two of them has seen only
one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence.clones.verification import Mask, dilated, eroded, high_pass, warped

Colours = NDArray[np.float32]

_MARGIN = 20
"""Pixels around a region that are examined."""
_WINDOW = 17
"""Side, in pixels, of the square in which inside and outside are compared along the outline."""
_FEWEST_PIXELS = 20
_CONTRAST = 0.5
"""Least difference of the shares of both regions that were compressed only once."""
_COMPRESSION_LOG_ODDS = 3.2
"""Natural logarithm of 24 to 1: below the odds that were measured, because the pairs were few."""


@dataclass(frozen=True)
class Traces:
    """Traces of pasting: positive values suggest that the target is the copy, negative ones the source."""

    edge: float
    """Gradient across the outline relative to that along it: log ratio of target to source."""
    colour: float
    """Difference of colour between inside and outside: log ratio of target to source."""
    texture: float
    """Difference of the log of fine detail between inside and outside, target minus source."""
    interpolation: float
    """Log energy of fine detail that interpolation removed from the target and not from the source."""


def pasted_log_odds(traces: Traces) -> float:
    """Return the log odds that the target is the copy and not the source.

    A logistic regression on the pairs found in synthesised copy-moves, fitted by `benchmarks/fit_clones.py`.
    It has no intercept, because the two regions differ only in name.
    """
    return 5.93 * traces.edge + 0.80 * traces.colour + 2.95 * traces.texture + 1.45 * traces.interpolation


def compression_log_odds(source: Mask, target: Mask, compressed_once: NDArray[np.float32]) -> float:
    """Return the log odds that the target is the copy, from where the image was compressed only once.

    `compressed_once` is (height, width), 0 to 1, the probability of that. 0 unless it marks one region far
    more than the other (docs/measurements/experiments.md, 47).
    """
    there, here = (float((compressed_once[region] > 0.5).mean()) for region in (source, target))
    return _COMPRESSION_LOG_ODDS * float(np.sign(here - there)) if abs(here - there) >= _CONTRAST else 0.0


def compare(pixels: NDArray[np.uint8], source: Mask, target: Mask, transform: NDArray[np.float64]) -> Traces:
    """Compare two regions, (height, width) bool, of an image (height, width, 3) RGB.

    `transform` is (2, 3) affine and maps the source onto the target.
    """
    there, here, region, inside = _side_by_side(pixels, target, transform, _MARGIN)
    first, second = (_fit_of(patch, region, inside) for patch in (there, here))
    edge, colour, texture = np.subtract(second, first) if first and second else np.zeros(3)
    interpolated = bool((transform % 1 != 0).any())
    return Traces(
        edge=float(edge),
        colour=float(colour),
        texture=float(texture),
        interpolation=_smoothed(pixels, source, target, transform) if interpolated else 0.0,
    )


def _side_by_side(
    pixels: NDArray[np.uint8], target: Mask, transform: NDArray[np.float64], margin: int
) -> tuple[Colours, Colours, Mask, Mask]:
    """Return the warped source, the pixels at the target, the target, and where both are known."""
    left, top, width, height = cv2.boundingRect(target.astype(np.uint8))
    rows = slice(max(top - margin, 0), top + height + margin)
    columns = slice(max(left - margin, 0), left + width + margin)
    region, here = target[rows, columns], pixels[rows, columns].astype(np.float32)
    there, inside = warped(pixels, transform, (columns.start, rows.start), region.shape)
    return there.astype(np.float32), here, region, inside


def _fit_of(patch: Colours, region: Mask, known: Mask) -> tuple[float, float, float] | None:
    """Return how abruptly a region ends: by edge, colour and texture; None if it is too narrow."""
    outside = dilated(region, 15) & ~dilated(region, 3) & known
    inside = eroded(region, 3) & ~eroded(region, 11) & known
    outline = dilated(region, 5) & ~eroded(region, 5) & known
    if min(np.count_nonzero(ring) for ring in (outside, inside, outline)) < _FEWEST_PIXELS:
        return None
    gray = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
    colours = [_mean_over(patch, ring) for ring in (inside, outside)]
    detail = [np.log(_mean_over(np.abs(high_pass(gray)), ring) + 0.2) for ring in (inside, outside)]
    both = outline & _near(inside) & _near(outside)
    if not both.any():
        return None
    return (
        _edge(gray, region, outline),
        float(np.log(np.abs(colours[0] - colours[1]).sum(2)[both].mean() + 3)),
        float(np.abs(detail[0] - detail[1])[both].mean()),
    )


def _edge(gray: NDArray[np.float32], region: Mask, outline: Mask) -> float:
    """Return the log of the gradient across the outline relative to that along it."""
    x, y = _gradient(gray)
    across = _gradient(cv2.GaussianBlur(_signed_distance(region), (0, 0), 2))
    length = np.hypot(*across) + 1e-6
    normal, tangential = (
        np.abs(part)[outline] / length[outline]
        for part in (x * across[0] + y * across[1], x * across[1] - y * across[0])
    )
    return float(np.log(normal.mean() + 0.1) - np.log(tangential.mean() + 0.1))


def _gradient(plane: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return (
        np.asarray(cv2.Sobel(plane, -1, 1, 0, scale=1 / 8), np.float32),
        np.asarray(cv2.Sobel(plane, -1, 0, 1, scale=1 / 8), np.float32),
    )


def _signed_distance(region: Mask) -> NDArray[np.float32]:
    inside = region.astype(np.uint8)
    return np.asarray(
        cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5),
        np.float32,
    )


def _mean_over(plane: NDArray[np.float32], ring: Mask) -> NDArray[np.float32]:
    """Return the mean of `plane` over the pixels of `ring` around each pixel."""
    weight = ring.astype(np.float32)
    total = cv2.blur(plane * (weight[..., None] if plane.ndim == 3 else weight), (_WINDOW, _WINDOW))
    count = np.maximum(cv2.blur(weight, (_WINDOW, _WINDOW)), 1e-3)
    return np.asarray(total / (count[..., None] if plane.ndim == 3 else count), np.float32)


def _near(ring: Mask) -> Mask:
    return np.asarray(cv2.blur(ring.astype(np.float32), (_WINDOW, _WINDOW)) > 0.02)


def _smoothed(pixels: NDArray[np.uint8], source: Mask, target: Mask, transform: NDArray[np.float64]) -> float:
    """Return the log energy of fine detail that the source has beyond the target, minus the reverse.

    Each region is compared with the other warped onto it. A copy has the detail that interpolating its source
    leaves. Its source has more detail than the copy warped back.
    """
    lost = []
    for region, way in ((source, cv2.invertAffineTransform(transform)), (target, transform)):
        there, here, window, known = _side_by_side(pixels, region, way, 8)
        inner = eroded(window, 5) & known
        if not inner.any():
            return 0.0
        own, other = (
            float(np.log(np.square(high_pass(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)))[inner].mean() + 0.05))
            for patch in (here, there)
        )
        lost.append(own - other)
    return lost[0] - lost[1]
