"""The previews that cameras put into a file, compared with the picture.

The idea of Kee and Farid, "Digital image authentication from thumbnails" (SPIE 7541, 2010): what the large
picture shows must also be in the small one. Honest programs turn, crop, frame, sharpen and brighten previews,
so the comparison looks for the turn and the crop that fit best, and forgives sharpness and tone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.errors import ImageError
from tamperscope.evidence._once import once_per_image
from tamperscope.evidence._pictures import data_uri
from tamperscope.evidence.metadata.embedded import THUMBNAIL_ITEM, EmbeddedPreview
from tamperscope.evidence.metadata.reading import read
from tamperscope.images import Image, ImageLimits, read_image, read_size

SAME_PICTURE = 0.85
"""Correlation from which a preview shows the same picture as the image."""
MORE_SHOWN = 0.85
"""Share of a preview below which the picture is a crop of what the preview shows."""
_LIMITS = ImageLimits(bytes=2**22, pixels=3_000_000, min_side=16)
_MOST_PREVIEWS = 6
_SHOWN_SIDE = 640
"""Longer side, in pixels, of a preview in a report. Previews of three megapixels exist."""


@dataclass(frozen=True, eq=False)
class Preview:
    """The thumbnail that a program put into the file."""

    place: str
    """As `EmbeddedPreview.place`."""
    pixels: NDArray[np.uint8]
    """(height, width, 3) uint8 RGB, turned as the picture is."""
    likeness: float
    """Correlation with the image, -1 to 1, at the turn and crop that fit best."""
    shown: float
    """Share of the preview, without its bars, that lies inside the picture, 0 to 1."""
    changed: NDArray[np.bool_]
    """(height, width) of the image: where they differ; nowhere if they show different pictures."""

    @property
    def same(self) -> bool:
        """Whether the preview shows this picture, even if parts differ."""
        return self.likeness >= SAME_PICTURE

    @property
    def differs(self) -> bool:
        """Whether the preview differs from the image, as a whole or in some regions."""
        return not self.same or bool(self.changed.any())

    @property
    def wider(self) -> bool:
        """Whether the preview shows more than the picture, as it does after a crop."""
        return self.same and self.shown < MORE_SHOWN


def preview(image: Image) -> Preview | None:
    """Return the preview of a file that is least like the image; None if no preview can be read."""
    return next(iter(previews(image)), None)


@once_per_image
def previews(image: Image) -> tuple[Preview, ...]:
    """Return the previews of a file, compared with the image, the least alike first."""
    stored = {each.data: each for each in read(image).previews[:_MOST_PREVIEWS]}
    decoded = ((each.place, _pixels(each)) for each in stored.values())
    compared = [compare(image, place, pixels) for place, pixels in decoded if pixels is not None]
    return tuple(sorted(compared, key=lambda each: (not each.differs, each.likeness)))


def picture_of(small: Preview) -> str:
    """Return a preview, at most `_SHOWN_SIDE` pixels on a side, as the data URI of a PNG."""
    return data_uri(small.pixels, _SHOWN_SIDE)


def compare(image: Image, place: str, stored: NDArray[np.uint8]) -> Preview:
    """Return a stored preview, (height, width, 3) uint8 RGB, compared with the image."""
    picture, small = _grey(image.pixels), _grey(stored)
    found = _best_match(picture, small)
    changed = np.zeros((image.height, image.width), bool)
    likeness = found.likeness
    if likeness >= _WORTH_A_CLOSER_LOOK:
        likeness, places = _differences(picture, _turned(small, found.turn), found)
        if likeness >= SAME_PICTURE and places.any():
            top, left, height, width = _scaled(found.inside, image.height, image.width)
            changed[top : top + height, left : left + width] = (
                cv2.resize(places.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
            )
    return Preview(place, _turned(stored, found.turn), likeness, found.shown, changed)


def _pixels(embedded: EmbeddedPreview) -> NDArray[np.uint8] | None:
    """Return a decoded preview, (height, width, 3) uint8 RGB; None for one that is damaged or too large."""
    limits = _LIMITS
    try:
        if embedded.place == THUMBNAIL_ITEM:
            # It comes as the whole file, whose parts were checked when the picture was read.
            width, height = read_size(embedded.data)
            if width * height > _LIMITS.pixels:
                return None
            limits = replace(ImageLimits(), min_side=_LIMITS.min_side)
        return read_image(embedded.data, limits).pixels
    except ImageError:
        return None


# Finding the turn and the crop


_SIDE = 48
"""Longer side, in pixels, at which turn and crop are searched for."""
_SCALES = tuple(0.96**step for step in range(20))
"""Sizes of a crop relative to the largest that fits."""
_WORTH_A_CLOSER_LOOK = 0.5


@dataclass(frozen=True)
class _Match:
    """How a preview lies on the picture."""

    likeness: float
    turn: int
    """Index of `_TURNS`."""
    inside: tuple[float, float, float, float]
    """Top, left, height and width of the shared part in the picture, as shares of its height and width."""
    of_preview: tuple[float, float, float, float]
    """The same in the turned preview."""
    shown: float


_TURNS = tuple(itertools.product((False, True), range(4)))
"""The eight orientations: mirrored or not, and quarter turns."""


def _turned(pixels: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    mirrored, quarters = _TURNS[turn]
    flipped = pixels[:, ::-1] if mirrored else pixels
    return np.ascontiguousarray(np.rot90(flipped, quarters))


def _best_match(picture: NDArray[np.uint8], stored: NDArray[np.uint8]) -> _Match:
    """Return the turn and the crop that fit best, trying what programs usually do first."""
    turned = list(_cuts(stored))
    usual = max((_stretched(picture, cut) for cut in turned), key=lambda match: match.likeness)
    if usual.likeness >= _NO_BETTER_MATCH:
        return usual
    placed = (match for cut in turned for match in (*_crops_of(picture, cut), *_crops_around(picture, cut)))
    return max((usual, *placed), key=lambda match: match.likeness)


_NO_BETTER_MATCH = 0.95


@dataclass(frozen=True, eq=False)
class _Cut:
    """A preview, turned, with or without its bars."""

    pixels: NDArray[np.uint8]
    turn: int
    box: tuple[float, float, float, float]
    """In the turned preview, as shares of its sides."""


def _cuts(stored: NDArray[np.uint8]) -> Iterator[_Cut]:
    frames = dict.fromkeys((_without_bars(stored), (0, 0, stored.shape[0], stored.shape[1])))
    for (top, left, height, width), turn in itertools.product(frames, range(len(_TURNS))):
        cut = _turned(stored[top : top + height, left : left + width], turn)
        yield _Cut(cut, turn, _turned_box((top, left, height, width), stored.shape[:2], turn))


_WHOLE = (0.0, 0.0, 1.0, 1.0)


def _stretched(picture: NDArray[np.uint8], cut: _Cut) -> _Match:
    """Return the match of a preview that shows the whole picture, stretched to its proportions."""
    size = _fitted(picture.shape, _SIDE)[::-1]
    ratio = (cut.pixels.shape[0] / cut.pixels.shape[1]) / (picture.shape[0] / picture.shape[1])
    if not 0.8 < ratio < 1.25:
        return _Match(-1.0, cut.turn, _WHOLE, cut.box, 1.0)
    large, small = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (picture, cut.pixels))
    return _Match(_correlation(large, small), cut.turn, _WHOLE, cut.box, 1.0)


def _crops_of(picture: NDArray[np.uint8], cut: _Cut) -> Iterator[_Match]:
    """Yield the matches of a preview that is a crop of the picture."""
    for likeness, place in _found_in(picture, cut.pixels, _SCALES):
        yield _Match(likeness, cut.turn, place, cut.box, 1.0)


def _crops_around(picture: NDArray[np.uint8], cut: _Cut) -> Iterator[_Match]:
    """Yield the matches of a picture that is a crop of the preview."""
    top, left, height, width = cut.box
    for likeness, (y, x, rows, columns) in _found_in(cut.pixels, picture, _SCALES[1:]):
        part = top + height * y, left + width * x, height * rows, width * columns
        yield _Match(likeness, cut.turn, _WHOLE, part, rows * columns)


def _found_in(
    large: NDArray[np.uint8], small: NDArray[np.uint8], scales: tuple[float, ...]
) -> Iterator[tuple[float, tuple[float, float, float, float]]]:
    """Yield, for each scale, the best likeness and the place of a small picture in a large one."""
    rows, columns = _fitted(large.shape, _SIDE)
    reduced = cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA)
    fit = min(rows / small.shape[0], columns / small.shape[1])
    for scale in scales:
        height, width = (max(8, round(side * fit * scale)) for side in small.shape[:2])
        if height <= rows and width <= columns:
            template = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
            likeness, (y, x) = _best_place(reduced, template)
            yield likeness, (y / rows, x / columns, height / rows, width / columns)


def _best_place(large: NDArray[np.uint8], small: NDArray[np.uint8]) -> tuple[float, tuple[int, int]]:
    if min(large.std(), small.std()) < 1:
        return _correlation(large, small), (0, 0)
    scores = cv2.matchTemplate(large, small, cv2.TM_CCOEFF_NORMED)
    scores[~np.isfinite(scores)] = -1
    y, x = np.unravel_index(int(np.argmax(scores)), scores.shape)
    return float(min(1.0, scores[y, x])), (int(y), int(x))


def _without_bars(stored: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return the box (top, left, height, width) of a preview without plain bars on any side."""
    spans = []
    for lines in (stored, stored.T):
        first, last = _bar(lines), len(lines) - _bar(lines[::-1])
        spans.append((first, last) if last - first >= len(lines) // 2 else (0, len(lines)))
    (top, bottom), (left, right) = spans
    return top, left, bottom - top, right - left


def _bar(lines: NDArray[np.uint8]) -> int:
    """Return how many of the first lines are plain, and of the tone of the first one.

    A plain wall or sky beside a bar is part of the picture.
    """
    plain = lines.std(axis=1) < _PLAIN_BAR
    levels = lines.mean(axis=1)
    in_bar = plain & (np.abs(levels - levels[0]) < _PLAIN_BAR)
    return 0 if in_bar.all() else int(np.argmin(in_bar))


_PLAIN_BAR = 8.0
"""Standard deviation in levels, of 255; compression leaves some noise next to the picture."""


def _turned_box(
    box: tuple[int, int, int, int], shape: tuple[int, ...], turn: int
) -> tuple[float, float, float, float]:
    """Return a box of the stored preview as shares of the turned one."""
    inside = np.zeros(shape, np.uint8)
    inside[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = 1
    turned = _turned(inside, turn)
    rows, columns = np.flatnonzero(turned.any(axis=1)), np.flatnonzero(turned.any(axis=0))
    return (
        rows[0] / turned.shape[0],
        columns[0] / turned.shape[1],
        len(rows) / turned.shape[0],
        len(columns) / turned.shape[1],
    )


def _fitted(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    scale = side / max(shape[:2])
    return max(8, round(shape[0] * scale)), max(8, round(shape[1] * scale))


# Comparing what both show


_LUMINANCE_SIDE = 512
_COMPARED_SIDE = 128
"""Longer side, in pixels, to which both are scaled for comparison."""
_BLUR = 0.8
"""Standard deviation, in pixels, of the blur that evens out sharpening."""
_OTHER_PLACE, _OTHER_TONE = 32.0, 40.0
"""Levels, of 255, by which a pixel must lie outside the range of its neighbours in the other picture. The
second counts where both are plain, because programs render saturated colours differently.
"""
_PLAIN_PLACE = 64.0
"""Variance below which a window is plain."""
_OTHER_STRUCTURE = 0.88
"""Local correlation below which two places show different things."""
_FROM_AFAR = 3.0
"""Standard deviation, in pixels, of the blur at which fine stripes are one tone: small copies draw them
differently, and only something else differs there as well.
"""
_OTHER_FROM_AFAR = 18.0
"""Levels, of 255, by which a place must differ after that blur."""
_SMALLEST_PLACE = 0.0013
"""Share of the picture that a connected region must have to count as different."""
_LARGEST_PLACE = 0.3
_WINDOW = 9


def _differences(
    grey: NDArray[np.uint8], small: NDArray[np.uint8], match: _Match
) -> tuple[float, NDArray[np.bool_]]:
    """Return the correlation of the shared part, and (rows, columns) bool where the two differ.

    Places that differ do not count in the correlation, unless they are large.
    """
    picture, other = _part(grey, match.inside), _part(small, match.of_preview)
    rows, columns = _fitted(picture.shape, min(_COMPARED_SIDE, max(other.shape[:2])))
    first = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    second = cv2.resize(other, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    second = _aligned(first, second)
    first, second = (cv2.GaussianBlur(each, (0, 0), _BLUR) for each in (first, second))
    second = _toned(first, second)
    correlation, variance = _local_statistics(first, second)
    limit = np.where(variance < _PLAIN_PLACE, _OTHER_TONE, _OTHER_PLACE)
    apart = np.maximum(_outside(first, second), _outside(second, first))
    places = ((apart > limit) & (correlation < _OTHER_STRUCTURE)).astype(np.uint8)
    places = cv2.morphologyEx(places, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    # The last pixels of a crop are often shared with what lies outside.
    places[:2], places[-2:], places[:, :2], places[:, -2:] = 0, 0, 0, 0
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(places)
    large = boxes[:, cv2.CC_STAT_AREA] >= _SMALLEST_PLACE * places.size
    from_afar = np.abs(cv2.GaussianBlur(first - second, (0, 0), _FROM_AFAR))
    other = np.zeros(count, np.float32)
    np.maximum.at(other, labels.ravel(), from_afar.ravel())
    kept = large & (other >= _OTHER_FROM_AFAR)
    kept[0] = False
    changed = np.asarray(kept[labels])
    alike = ~changed if changed.mean() < _LARGEST_PLACE else np.ones_like(changed)
    return _correlation(first[alike], second[alike]), changed


def _aligned(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the second picture moved and stretched by the few pixels that fit it to the first."""
    motion = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    try:
        _, motion = cv2.findTransformECC(first, second, motion, cv2.MOTION_AFFINE, stop, None, 5)
    except cv2.error:  # no iteration brings them closer
        return second
    if np.abs(motion[:, :2] - np.eye(2)).max() > 0.1 or np.abs(motion[:, 2]).max() > 0.1 * max(first.shape):
        return second
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(second, motion, first.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _toned(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the second picture with the tones of the first: the median of each level that it has."""
    levels = np.clip(second / 16, 0, 15.99).astype(int)
    medians = [
        (float(np.median(second[levels == level])), float(np.median(first[levels == level])))
        for level in range(16)
        if (levels == level).sum() >= 0.01 * levels.size
    ]
    if len(medians) < 2:
        return second
    xs, ys = zip(*medians, strict=True)
    toned = np.interp(second, xs, np.maximum.accumulate(ys))
    # Beyond the outermost medians the tones go on.
    toned += np.minimum(second - xs[0], 0) + np.maximum(second - xs[-1], 0)
    return toned.astype(np.float32)


def _outside(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how much each pixel of the second lies outside the range of the first around it."""
    around = np.ones((3, 3), np.uint8)
    outside = np.maximum(second - cv2.dilate(first, around), cv2.erode(first, around) - second)
    return np.asarray(outside, np.float32)


def _local_statistics(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the correlation of the two in a window around each pixel, and the larger of their variances."""

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, (_WINDOW, _WINDOW)), np.float32)

    one, other = mean(first), mean(second)
    variances = mean(first * first) - one * one, mean(second * second) - other * other
    spread = np.sqrt(np.maximum(variances[0], 4) * np.maximum(variances[1], 4))
    correlation = (mean(first * second) - one * other) / spread
    return np.asarray(correlation, np.float32), np.asarray(np.maximum(*variances), np.float32)


def _part(pixels: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    top, left, height, width = _scaled(box, *pixels.shape[:2])
    return pixels[top : top + height, left : left + width]


def _scaled(box: tuple[float, float, float, float], rows: int, columns: int) -> tuple[int, int, int, int]:
    top, left = min(rows - 1, round(box[0] * rows)), min(columns - 1, round(box[1] * columns))
    height = max(1, min(rows - top, round(box[2] * rows)))
    width = max(1, min(columns - left, round(box[3] * columns)))
    return top, left, height, width


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luminance, at most `_LUMINANCE_SIDE` pixels on a side."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    if max(grey.shape) > _LUMINANCE_SIDE:
        size = _fitted(grey.shape, _LUMINANCE_SIDE)[::-1]
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def _correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    spreads = sorted((float(first.std()), float(second.std())))
    if spreads[0] < 1:  # plain pictures are alike if both are, in the same tone
        return float(spreads[1] < 8 and abs(float(first.mean()) - float(second.mean())) < 16)
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
