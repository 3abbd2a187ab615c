"""Two versions of a picture, laid over each other: where they differ.

    found = compare(scaled(original.pixels), scaled(published.pixels))
    found.matrix, found.regions

For a reader, who knows that both show the same scene. It is not evidence about one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.images.contours import Polygon, polygon

LONGEST_SIDE = 1024
"""Pixels, to which both pictures are scaled down."""
MOST_REGIONS = 30
_KEYPOINTS = 4000
_RATIO = 0.75
"""Lowe's ratio test: a match must be this much nearer than the second nearest."""
_LEAST_MATCHES = 16
_TOLERANCE = 3.0
"""Pixels by which a match may miss."""
_LARGEST_SCALE = 12.0
_LEAST_DIFFERENCE = 20.0
"""Grey levels. Compression and scaling alone stay below it almost everywhere."""
_SMALLEST_REGION = 0.0005
"""Share of the picture."""
_ALIKE = 0.9
"""Correlation from which two pictures of one size without enough keypoints count as laid over each other."""


@dataclass(frozen=True)
class DifferentRegion:
    """A connected region in which the two differ, in pixels of the first as it was compared."""

    polygon: Polygon
    area_share: float
    """Share of the first picture, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """How the second picture lies over the first, and where they differ."""

    matrix: NDArray[np.float64]
    """(2, 3): takes a pixel (x, y, 1) of the second to one of the first, both as they were compared."""
    shared: float
    """Share of the first picture that the second covers, 0 to 1."""
    regions: tuple[DifferentRegion, ...]
    """The largest first, at most `MOST_REGIONS`."""


def scaled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (height, width, 3) uint8 RGB pixels, scaled down to at most `LONGEST_SIDE` per side."""
    height, width = pixels.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def compare(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Comparison | None:
    """Lay the second picture over the first and find the regions in which they differ.

    The second may be cropped, scaled, turned, stretched or mirrored. Brightness and contrast are matched
    first. A pixel differs if it lies outside the range of the other's neighbouring pixels, so that edges
    which miss each other by a pixel do not count. Keypoints: Lowe, "Distinctive image features from
    scale-invariant keypoints", 2004.

    Args:
        first: (height, width, 3) uint8 RGB, as `scaled` returns it.
        second: The same, of any other size.

    Returns:
        The comparison; None if the two do not show the same scene.
    """
    matrix = _alignment(first, second)
    if matrix is None:
        return None
    height, width = first.shape[:2]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    soft = _softened(second, 1 / scale)
    laid = cv2.warpAffine(soft, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    whole = np.full(second.shape[:2], 255, np.uint8)
    covered = cv2.warpAffine(whole, matrix, (width, height), flags=cv2.INTER_NEAREST) > 0
    inside = (
        cv2.erode(
            covered.astype(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
        )
        > 0
    )
    if not inside.any():
        return None
    different = _different(_softened(first, scale), np.asarray(laid, np.uint8), inside)
    return Comparison(matrix, float(covered.mean()), _regions(different))


def _alignment(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    sift = cv2.SIFT.create(nfeatures=_KEYPOINTS)
    greys = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (first, second)]
    points, descriptors = sift.detectAndCompute(greys[0], None)
    width = second.shape[1]
    for mirrored in (False, True):
        other = np.ascontiguousarray(greys[1][:, ::-1]) if mirrored else greys[1]
        matrix = _matched(points, descriptors, *sift.detectAndCompute(other, None))
        if matrix is not None and mirrored:
            flip = np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]], np.float64)
            matrix = matrix @ flip
        if matrix is not None:
            return matrix
    same = greys[0].shape == greys[1].shape and _correlation(*greys) >= _ALIKE
    return np.eye(2, 3) if same else None


def _matched(
    points: Sequence[Any],
    descriptors: NDArray[np.float32] | None,
    others: Sequence[Any],
    their_descriptors: NDArray[np.float32] | None,
) -> NDArray[np.float64] | None:
    """Return the affine matrix from the other's keypoints to the first's, or None without enough matches."""
    if descriptors is None or their_descriptors is None or min(len(points), len(others)) < 2:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(their_descriptors, descriptors, k=2)
    good = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance]
    if len(good) < _LEAST_MATCHES:
        return None
    source = np.array([others[match.queryIdx].pt for match in good], np.float64)
    target = np.array([points[match.trainIdx].pt for match in good], np.float64)
    cv2.setRNGSeed(1)
    matrix, inliers = cv2.estimateAffine2D(source, target, ransacReprojThreshold=_TOLERANCE)
    if matrix is None or int(inliers.sum()) < _LEAST_MATCHES:
        return None
    scales = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if not 1 / _LARGEST_SCALE < scales[1] <= scales[0] < _LARGEST_SCALE:
        return None
    return np.asarray(matrix, np.float64)


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    a, b = (each.astype(np.float64) - each.mean() for each in (one, other))
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm else float(np.array_equal(one, other))


def _softened(pixels: NDArray[np.uint8], times: float) -> NDArray[np.uint8]:
    """Remove the details that a picture loses when it is made this many times smaller; 1 or less: none."""
    if times <= 1.05:
        return pixels
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.5 * times), np.uint8)


def _different(
    first: NDArray[np.uint8], second: NDArray[np.uint8], inside: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    soft = [cv2.GaussianBlur(each, (0, 0), 1.2).astype(np.float32) for each in (first, second)]
    for channel in range(3):
        gain, offset = _tone(*(each[..., channel][inside] for each in soft))
        soft[1][..., channel] = gain * soft[1][..., channel] + offset
    around = np.ones((5, 5), np.uint8)
    beyond = np.zeros(first.shape[:2], np.float32)
    for one, other in (soft, soft[::-1]):
        above, below = one - cv2.dilate(other, around), cv2.erode(other, around) - one
        beyond = np.maximum(beyond, np.maximum(above, below).max(axis=2))
    noise = float(np.median(beyond[inside]))
    spread = float(np.median(np.abs(beyond[inside] - noise)))
    different = (beyond > max(_LEAST_DIFFERENCE, noise + 8 * spread)) & inside
    closed = cv2.morphologyEx(different.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return np.asarray(closed > 0)


def _tone(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> tuple[float, float]:
    """Return the gain and offset that take their levels to ours, by least squares without what differs."""
    x, y = theirs.astype(np.float64), ours.astype(np.float64)
    gain, offset = 1.0, 0.0
    same = np.ones(len(x), bool)
    for _ in range(4):
        spread = float(x[same].var())
        if spread < 1:
            return 1.0, float((y - x)[same].mean())
        slope = float(((x[same] - x[same].mean()) * (y[same] - y[same].mean())).mean()) / spread
        gain = min(max(slope, 0.5), 2.0)
        offset = float(y[same].mean() - gain * x[same].mean())
        missed = np.abs(y - gain * x - offset)
        same = missed <= max(4.0, 3 * float(np.median(missed)))
    return gain, offset


def _regions(different: NDArray[np.bool_]) -> tuple[DifferentRegion, ...]:
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(different.astype(np.uint8))
    areas = statistics[1:, cv2.CC_STAT_AREA]
    largest = [n for n in np.argsort(-areas, kind="stable") if areas[n] >= _SMALLEST_REGION * different.size]
    found = []
    for number in largest[:MOST_REGIONS]:
        x, y, width, height = (int(value) for value in statistics[number + 1, :4])
        part = labels[y : y + height, x : x + width] == number + 1
        found.append(DifferentRegion(polygon(part, (x, y)), float(areas[number]) / different.size))
    return tuple(found)
