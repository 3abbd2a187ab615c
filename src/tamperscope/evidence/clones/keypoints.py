"""Parts of an image that look like other parts after an affine transform: keypoints matched within the image.

After Pan and Lyu 2010, "Region duplication detection using image feature matching", and Amerini et al. 2011,
"A SIFT-based forensic method for copy-move attack detection and transformation recovery", with two changes.
Keypoints are detected in the locally normalised image, because forgers also copy smooth regions, to hide
things. Each match must also repeat the fine detail around it, which tells a copy from a window that resembles
its neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.float32]
Points = NDArray[np.float32]
Transforms = NDArray[np.float64]

QUANTISATION_VARIANCE = 1 / 12
"""Variance of rounding to a whole number, the least that every 8-bit image has."""

MOST_KEYPOINTS = 8000
LEAST_CONTRAST = 0.01
"""Of a keypoint in the locally normalised image. It leaves out a tenth of them, and no copy."""
LARGE, LARGE_SCALE = 150_000, 0.7
"""Pixels above which keypoints are detected at a lower resolution: it costs half and finds as many copies."""
STRIP, STRIP_MARGIN = 340_000, 16
"""Most pixels of such an image that are examined at a time, and the rows that are seen beyond them."""
LEAST_AREA = 100
"""Pixels of such an image for each keypoint. Photos have fewer keypoints, patterns more."""
MOST_MATCHES = 1500
MOST_HYPOTHESES = 60
NEAREST_COPY = 16
"""Pixels. Closer places resemble each other because images are smooth."""
NEIGHBOURS = 3
"""How many copies of one keypoint are searched for."""
DISTINCT = 0.9
"""Largest distance of a neighbour's descriptor, relative to that of the first that is not a copy."""
LARGEST_DISTANCE = 250
"""Of two descriptors, whose length is 512."""
ALIKE = 0.6
"""Correlation of the fine detail above which a match counts, at the pose of its own keypoints."""
CERTAINLY_ALIKE = 0.7
"""The same, at the pose that all matches of a group agree on."""
FEWEST_MATCHES = 3
_QUERIES_AT_ONCE = 256
"""Keypoints matched at a time: few enough for their distances to stay in the processor's cache."""
_MOST_NEAR = 32
"""How many near descriptors of one keypoint are examined, on average."""
_ONE_IN = 8
"""Share of the descriptors by which the distance of the nearest is judged."""
_MOST_COMPARED = 6000
"""How many pairs of keypoints, those with the nearest descriptors, are compared by their fine detail."""
_KEY_BITS = 20
"""Bits for a keypoint's number, and for a squared distance of descriptors below 512 squared."""
_KEY_MASK = (1 << _KEY_BITS) - 1
LARGEST_SCALE = 3.0
LARGEST_SKEW = 1.6
"""Largest ratio of the largest to the smallest scale of a transform."""


@dataclass(frozen=True, eq=False)
class Repetition:
    """Two parts of an image that look alike in many places. Either may be a copy of the other."""

    transform: NDArray[np.float64]
    """(2, 3) affine: maps (x, y, 1) in one part to (x, y) in the other."""
    source: Points
    """(matches, 2): x and y of the places in one part."""
    target: Points
    """(matches, 2): x and y of the places in the other part."""
    likeness: float
    """Median correlation, up to 1, of the fine detail around the matches."""
    by_keypoints: bool = True
    """Whether the places are keypoints, of which most content has few, rather than a dense grid."""

    @property
    def matches(self) -> int:
        """How many places agree on the transform."""
        return len(self.source)

    @property
    def weight(self) -> float:
        """Weight of the evidence for it: Fisher's z-transform of the likeness, in standard errors."""
        return fisher_z(self.likeness) * float(np.sqrt(self.matches))

    @property
    def whole_pixels(self) -> bool:
        """Whether pixels are only shifted, mirrored or rotated by quarter turns, without interpolation."""
        return bool((self.transform % 1 == 0).all())


def fisher_z(correlation: float) -> float:
    """Return a correlation on a scale with a uniform error (Fisher 1915), 0 to 2.3."""
    return float(np.arctanh(np.clip(correlation, 0, 0.98)))


def find_repetitions(gray: Gray, threads: Executor) -> list[Repetition]:
    """Return the repetitions in `gray` (height, width; 0 to 255), most certain first."""
    keypoints = _detect(gray)
    if len(keypoints.positions) <= NEIGHBOURS:
        return []
    detail = _Detail(gray)
    found = threads.map(
        lambda mirrored: list(_group(_match(keypoints, detail, mirrored), detail)), (False, True)
    )
    repetitions = [repetition for of_orientation in found for repetition in of_orientation]
    return sorted(repetitions, key=lambda repetition: -repetition.weight)


# Keypoints


@dataclass(frozen=True, eq=False)
class _Keypoints:
    """SIFT keypoints (Lowe 2004), sorted from top to bottom."""

    positions: Points
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    """Radians, clockwise as displayed."""
    descriptors: NDArray[np.float32]
    """(keypoints, 128): whole numbers below 256, so sums of their products are exact in any order."""


def _detect(gray: Gray) -> _Keypoints:
    scale, most = 1.0, MOST_KEYPOINTS
    plane = _locally_normalised(gray)
    if gray.size > LARGE:
        scale, most = LARGE_SCALE, min(MOST_KEYPOINTS, gray.size // LEAST_AREA)
        plane = cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    table, descriptors = _described(plane, most)
    order = np.lexsort((table[:, 3], table[:, 2], table[:, 0], table[:, 1]))
    table, descriptors = table[order], descriptors[order]
    # The centre of the first pixel is at 0 in both resolutions.
    return _Keypoints((table[:, :2] + 0.5) / scale - 0.5, table[:, 2] / scale, table[:, 3], descriptors)


def _described(plane: NDArray[np.uint8], most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return some `most` keypoints of an image, the strongest of each strip, and their descriptors.

    The keypoints are (keypoints, 4): x, y, size and angle in radians. The image is examined in strips,
    because the scale space of one takes a hundred times its memory.
    """
    height = plane.shape[0]
    strips = -(-plane.size // STRIP)
    sift = cv2.SIFT.create(nfeatures=-(-most // strips), contrastThreshold=LEAST_CONTRAST, edgeThreshold=20)
    tables, described = [], []
    edges = np.linspace(0, height, strips + 1).astype(int)
    for top, bottom in pairwise(edges):
        first = max(0, top - STRIP_MARGIN)
        found, descriptors = sift.detectAndCompute(plane[first : bottom + STRIP_MARGIN], None)
        table = np.array(
            [(point.pt[0], point.pt[1] + first, point.size, np.deg2rad(point.angle)) for point in found],
            np.float32,
        ).reshape(-1, 4)
        inside = (table[:, 1] >= top) & (table[:, 1] < bottom)
        tables.append(table[inside])
        described.append(np.zeros((0, 128), np.float32) if descriptors is None else descriptors[inside])
    return np.concatenate(tables), np.concatenate(described)


def _locally_normalised(gray: Gray) -> NDArray[np.uint8]:
    mean = _widely_blurred(gray)
    deviation = np.sqrt(np.maximum(_widely_blurred(gray * gray) - mean * mean, 0)) + 2
    return np.asarray(np.clip(128 + 48 * (gray - mean) / deviation, 0, 255), np.uint8)


def _widely_blurred(plane: Gray) -> Gray:
    """Return what a Gaussian of 16 pixels leaves, computed at a quarter of the resolution."""
    coarse = cv2.resize(plane, None, fx=1 / 4, fy=1 / 4, interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), 4)
    return np.asarray(cv2.resize(coarse, plane.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _reflected(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the descriptors of the mirrored image: with the rows of cells and the directions reversed."""
    cells = descriptors.reshape(-1, 4, 4, 8)[:, ::-1][..., -np.arange(8) % 8]
    return np.ascontiguousarray(cells.reshape(-1, 128))


# Matches


@dataclass(frozen=True, eq=False)
class _Matches:
    """Pairs of keypoints that look alike, each with the transform that it suggests on its own."""

    source: Points
    target: Points
    transforms: Transforms
    likeness: NDArray[np.float32]
    mirrored: bool

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> _Matches:
        return _Matches(
            self.source[which],
            self.target[which],
            self.transforms[which],
            self.likeness[which],
            self.mirrored,
        )


def _match(keypoints: _Keypoints, detail: _Detail, mirrored: bool) -> _Matches:
    pairs = _nearest(keypoints, mirrored)
    # A copy is scaled down for comparison, never up: lost detail cannot be compared.
    both = np.concatenate([pairs, pairs[:, ::-1]])
    # As one number each, because rows of two take several times as long to sort.
    numbers = np.unique(both[:, 0] * len(keypoints.positions) + both[:, 1])
    source, target = np.divmod(numbers, len(keypoints.positions))
    scale = keypoints.sizes[target] / keypoints.sizes[source]
    comparable = (scale < 1.15) & (scale > 1 / LARGEST_SCALE)
    source, target = source[comparable], target[comparable]
    transforms = _similarities(keypoints, source, target, mirrored)
    places = keypoints.positions[source], keypoints.positions[target]
    likeness = detail.likeness(_snapped(transforms, *places, tolerance=0.12), places[1])
    matches = _Matches(*places, transforms, likeness, mirrored)
    best_first = np.argsort(-likeness, kind="stable")[:MOST_MATCHES]
    return matches.take(best_first[likeness[best_first] > ALIKE])


def _nearest(keypoints: _Keypoints, mirrored: bool) -> NDArray[np.intp]:
    """Return (pairs, 2): indices of keypoints and of their nearest neighbours by descriptor.

    Neighbours closer than `NEAREST_COPY` pixels are left out. Several neighbours of one keypoint may be
    copies of it, so each is compared with the first that is not a copy (the generalised
    two-nearest-neighbours test of Amerini et al. 2011, with a fixed number).
    """
    query, neighbour, distance = (
        np.concatenate(part) for part in zip(*_near(keypoints, mirrored), strict=True)
    )
    x, y = keypoints.positions.T
    right, down = x[query] - x[neighbour], y[query] - y[neighbour]
    apart = right * right + down * down >= NEAREST_COPY**2
    # Sorted as one number each, because three columns take ten times as long.
    keys = (
        (query[apart] << 2 * _KEY_BITS) + (distance[apart].astype(np.int64) << _KEY_BITS) + neighbour[apart]
    )
    keys.sort()
    query, distance, neighbour = keys >> 2 * _KEY_BITS, keys >> _KEY_BITS & _KEY_MASK, keys & _KEY_MASK
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    furthest = np.full(len(keypoints.positions), np.inf)
    furthest[query[rank == NEIGHBOURS]] = distance[rank == NEIGHBOURS]
    kept = (rank < NEIGHBOURS) & (distance < DISTINCT**2 * furthest[query]) & (distance < LARGEST_DISTANCE**2)
    pairs, distance = np.stack([query[kept], neighbour[kept]], 1), distance[kept]
    return pairs[np.argsort(distance, kind="stable")[:_MOST_COMPARED]]


def _near(
    keypoints: _Keypoints, mirrored: bool
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]]:
    """Yield keypoints, others with descriptors near theirs, and the squared distances, in batches.

    Descriptors further apart than the farthest match divided by `DISTINCT` cannot change any test.
    """
    candidates = _reflected(keypoints.descriptors) if mirrored else keypoints.descriptors
    norms = (candidates * candidates).sum(1)
    # One product yields the squared distances without the query's own norm.
    queries = np.column_stack([-2 * keypoints.descriptors, np.ones_like(norms)])
    candidates = np.ascontiguousarray(np.column_stack([candidates, norms]).T)
    limit = (LARGEST_DISTANCE / DISTINCT) ** 2
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        # Distances are symmetric, also to mirrored descriptors, so half of them suffice.
        stop = start + _QUERIES_AT_ONCE
        distances = queries[start:stop] @ candidates[:, start:]
        distances += norms[start:stop, None]
        near = distances < limit
        if np.count_nonzero(near) > _MOST_NEAR * len(distances):
            # Patterns that repeat everywhere: about the nearest of each suffice, judged by some of them.
            some = distances[:, ::_ONE_IN]
            count = min(_MOST_NEAR // _ONE_IN, some.shape[1] - 1)
            near = distances < np.minimum(np.partition(some, count, axis=1)[:, count, None], limit)
        places = np.flatnonzero(near)
        query, neighbour = (index + start for index in np.divmod(places, distances.shape[1]))
        distance = distances.ravel()[places]
        yield query, neighbour, distance
        later = neighbour >= stop
        yield neighbour[later], query[later], distance[later]


def _similarities(
    keypoints: _Keypoints, source: NDArray[np.intp], target: NDArray[np.intp], mirrored: bool
) -> Transforms:
    """Return (pairs, 2, 3): the rotation, scale and shift that map each source keypoint onto its target."""
    handedness = -1.0 if mirrored else 1.0
    turn = keypoints.angles[target] - handedness * keypoints.angles[source]
    scale = keypoints.sizes[target] / keypoints.sizes[source]
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.stack([cosine, -handedness * sine, sine, handedness * cosine], 1).reshape(-1, 2, 2)
    shift = keypoints.positions[target] - np.einsum("nij,nj->ni", linear, keypoints.positions[source])
    return np.concatenate([linear, shift[..., None]], 2).astype(np.float64)


def _snapped(transforms: Transforms, source: Points, target: Points, tolerance: float) -> Transforms:
    """Snap near shifts, upright or turned over, to shifts by whole pixels: most forgeries are such shifts."""
    whole = np.rint(transforms[:, :, :2])
    plain = np.abs(transforms[:, :, :2] - whole).max((1, 2)) < tolerance
    shift = np.rint(target - np.einsum("nij,nj->ni", whole, source))
    return np.where(plain[:, None, None], np.concatenate([whole, shift[..., None]], 2), transforms)


class _Detail:
    """The fine detail of an image, for comparing its places at any scale."""

    def __init__(self, gray: Gray) -> None:
        self._gray = gray
        self._levels: dict[int, Gray] = {}

    def likeness(self, transforms: Transforms, target: Points) -> NDArray[np.float32]:
        """Return (points,): the correlation around each target point with what `transforms` map there.

        `transforms` is (points, 2, 3), from source to target. None of them may enlarge by much.
        """
        linear = np.linalg.inv(transforms[:, :, :2])
        source = np.einsum("nij,nj->ni", linear, target - transforms[:, :, 2])
        shrinking = np.sqrt(np.abs(np.linalg.det(linear)))
        levels = np.rint(2 * np.log2(np.maximum(shrinking, 1))).astype(int)
        likeness = np.empty(len(target), np.float32)
        for level in np.unique(levels):
            which = levels == level
            original = _sample(self._level(level), source[which], linear[which])
            copy = _sample(self._level(0), target[which], np.eye(2)[None])
            likeness[which] = _correlation(original, copy)
        return likeness

    def _level(self, level: int) -> Gray:
        """Return the high-pass filtered image, smoothed for shrinking by 2 to the power of `level` / 2."""
        if level not in self._levels:
            shrinking = 2 ** (level / 2)
            fine, coarse = 0.5 * np.sqrt(shrinking**2 - 1), 1.5 * shrinking
            smooth = cv2.GaussianBlur(self._gray, (0, 0), fine) if level else self._gray
            self._levels[level] = smooth - cv2.GaussianBlur(self._gray, (0, 0), coarse)
        return self._levels[level]


_PATCH = np.mgrid[-7:8, -7:8].reshape(2, -1)[::-1].astype(np.float64)


def _sample(image: Gray, centres: NDArray[np.floating[Any]], linear: NDArray[np.float64]) -> Gray:
    """Return (points, pixels): the patch around each centre, transformed by `linear`, (points, 2, 2)."""
    places = (centres[:, :, None] + linear @ _PATCH).astype(np.float32)
    # OpenCV accepts at most 32767 rows.
    parts = [
        cv2.remap(image, part[:, 0], part[:, 1], cv2.INTER_LINEAR)
        for part in np.array_split(places, len(places) // 30_000 + 1)
    ]
    return np.concatenate(parts)


def _correlation(first: Gray, second: Gray) -> NDArray[np.float32]:
    first = first - first.mean(1, keepdims=True)
    second = second - second.mean(1, keepdims=True)
    variances = [(patch * patch).mean(1) + QUANTISATION_VARIANCE for patch in (first, second)]
    return np.asarray((first * second).mean(1) / np.sqrt(variances[0] * variances[1]), np.float32)


# Groups of matches


def _group(matches: _Matches, detail: _Detail) -> Iterator[Repetition]:
    """Yield affine transforms that several matches agree on.

    Each match on its own suggests a transform (Lowe 2004, section 7.3). The suggestion with the most support
    is fitted to its supporters. These are then removed, and the procedure is repeated.
    """
    source, target = matches.source, matches.target
    support, supporters = _support(matches)
    waiting = supporters >= FEWEST_MATCHES
    for _ in range(MOST_HYPOTHESES):
        if not waiting.any():
            return
        suggestion = int(np.argmax(np.where(waiting, support, -1)))
        transform, agreeing = _fit(
            matches.transforms[suggestion], source[waiting], target[waiting], matches.mirrored
        )
        members = np.flatnonzero(waiting)[agreeing]
        waiting[suggestion] = False
        members = members[_one_per_place(source[members])]
        if len(members) < FEWEST_MATCHES or not _plausible(transform):
            continue
        inverse = cv2.invertAffineTransform(transform)
        waiting &= (_error(transform, source, target) > 5) & (_error(inverse, source, target) > 5)
        if _periodic(source[members], target[members]):
            continue
        repetition = _settle(transform, source[members], target[members], detail)
        if repetition.likeness > CERTAINLY_ALIKE:
            yield repetition


def _support(matches: _Matches) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the weight and the number of the matches that fit each match's suggestion, both (matches,).

    Each match supports its own suggestion. A match is weighted by how far its correlation exceeds `ALIKE`.
    """
    weights = ((matches.likeness - ALIKE) / (1 - ALIKE)) ** 2
    support = np.empty(len(weights), np.float32)
    supporters = np.empty(len(weights), np.intp)
    source, target = matches.source.T, matches.target.T
    for start in range(0, len(weights), 256):
        block = slice(start, start + 256)
        transforms = matches.transforms[block].astype(np.float32)
        x, y = (transforms[:, axis, :2] @ source + transforms[:, axis, 2:] - target[axis] for axis in (0, 1))
        right, down = (source[axis, block, None] - source[axis] for axis in (0, 1))
        distance = np.sqrt(right * right + down * down)
        # A keypoint's angle and size are off by some percent, so the error grows with the distance.
        tolerance = 3 + 0.1 * distance
        miss = x * x + y * y
        support[block] = ((miss < tolerance * tolerance) & (distance < 200)) @ weights
        supporters[block] = (miss < np.square(np.maximum(tolerance, 8))).sum(1)
    return support, supporters


def _fit(
    transform: NDArray[np.float64], source: Points, target: Points, mirrored: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Fit an affine transform to the matches that agree with it, with ever tighter tolerances."""
    for tolerance in (8, 5, 3, 3):
        agreeing = _error(transform, source, target) < tolerance
        places = source[agreeing]
        places = places[_one_per_place(places)]
        if len(places) < 2:
            break
        if _spread(places) > 4:
            transform = _fit_affine(source[agreeing], target[agreeing])
        else:
            transform = _fit_similarity(source[agreeing], target[agreeing], mirrored)
    return transform, _error(transform, source, target) < 3


def _fit_affine(source: Points, target: Points) -> NDArray[np.float64]:
    homogeneous = np.column_stack([source, np.ones(len(source))])
    return np.asarray(np.linalg.lstsq(homogeneous, target.astype(np.float64), rcond=None)[0].T)


def _fit_similarity(source: Points, target: Points, mirrored: bool) -> NDArray[np.float64]:
    """Fit only rotation, scale and shift, as complex numbers: target = factor * source + shift."""
    z, w = (points.astype(np.float64) @ [1, 1j] for points in (source, target))
    z = z.conj() if mirrored else z
    centred = z - z.mean()
    factor = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred).real
    shift = w.mean() - factor * z.mean()
    handedness = -1 if mirrored else 1
    return np.array(
        [
            [factor.real, -handedness * factor.imag, shift.real],
            [factor.imag, handedness * factor.real, shift.imag],
        ]
    )


def _one_per_place(points: Points) -> NDArray[np.intp]:
    """Return indices of points, no two of which share a pixel."""
    x, y = points.round().astype(np.int64).T
    return np.unique((x << 32) + y, return_index=True)[1]


def _spread(points: Points) -> float:
    """Return the standard deviation of the points along the direction in which they vary least."""
    x, y = (points - points.mean(0)).T
    across, down, mixed = x @ x, y @ y, x @ y
    least = (across + down - np.hypot(across - down, 2 * mixed)) / 2
    return float(np.sqrt(max(least, 0) / len(points)))


def _error(transform: NDArray[np.float64], source: Points, target: Points) -> NDArray[np.float64]:
    """Return (points,): the distance in pixels by which `transform` misses the target."""
    x, y = (source @ transform[:, :2].T + transform[:, 2] - target).T
    return np.asarray(np.sqrt(x * x + y * y))


def _plausible(transform: NDArray[np.float64]) -> bool:
    largest, smallest = np.linalg.svd(transform[:, :2], compute_uv=False)
    return bool(
        largest < LARGEST_SCALE and smallest > 1 / LARGEST_SCALE and largest < LARGEST_SKEW * smallest
    )


def _periodic(source: Points, target: Points) -> bool:
    """Return whether the parts overlap, as in fences, tiles and symmetric things but not in copies."""
    inside = (target > source.min(0)) & (target < source.max(0))
    return bool(inside.all(1).mean() > 0.3)


def _settle(transform: NDArray[np.float64], source: Points, target: Points, detail: _Detail) -> Repetition:
    """Choose between the fitted transform and the nearest shift by whole pixels, by likeness."""
    options = [transform]
    whole = np.rint(transform[:, :2])
    if np.abs(transform[:, :2] - whole).max() < 0.06:
        shift = np.rint(np.median(target - source @ whole.T, axis=0))
        options.append(np.column_stack([whole, shift]))
    likeness = [
        float(np.median(detail.likeness(np.broadcast_to(option, (len(target), 2, 3)), target)))
        for option in options
    ]
    best = int(np.argmax(likeness))
    return Repetition(options[best], source, target, likeness[best])
