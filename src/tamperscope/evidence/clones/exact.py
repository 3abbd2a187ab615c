"""Parts of an image that repeat bit by bit: equal windows, found by sorting their hashes.

The exact match of Fridrich, Soukal and Lukas ("Detection of copy-move forgery in digital images", DFRWS
2003), with rolling hashes (Karp and Rabin 1987, "Efficient randomized pattern-matching algorithms"). Noise
never repeats bit by bit, so a few dozen equal windows are proof, while hundreds of similar ones are not. The
search finds small and smooth copies in losslessly saved images. It finds nothing if the image was saved as a
JPEG afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.evidence.clones.keypoints import NEAREST_COPY, Repetition

FEWEST_WINDOWS = 32
"""Fewest equal windows with the same shift; windows begin at every pixel."""
MOST_ALIKE = 4
"""Most windows that may equal one another. More of them are a drawn pattern, not a photographed one."""
_SIDE = 8
"""Side of a window in pixels."""
_MOST_PAIRS = 200_000
"""Pairs of equal windows whose shifts are counted, evenly selected if half the image repeats."""
_LEAST_DETAIL = 0.75
"""Least share of a window that does not continue its neighbours. Noise reaches it, writing does not."""
_PLACE_BITS = 24
"""Bits of a 64-bit key for the place; the others are the hash. No examined image has 2^24 windows."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_ACROSS, _DOWN = 0xD6E8FEB86659FD93, 0xBF58476D1CE4E5B9


def find_copies(pixels: NDArray[np.uint8]) -> Iterator[Repetition]:
    """Yield the shifts by which much of an RGB image, (height, width, 3), equals itself, largest part first.

    Raises `ValueError` for an image of more than 2^24 pixels.
    """
    if pixels[..., 0].size > 1 << _PLACE_BITS:
        raise ValueError("exact copies are searched for in images of up to 2^24 pixels")
    first, second = _equal_windows(pixels)
    some = slice(None, None, -(-len(first) // _MOST_PAIRS) or 1)
    first, second = first[some], second[some]
    width = pixels.shape[1] - _SIDE + 1
    source, target = (np.stack([place % width, place // width], 1) for place in (first, second))
    shift = target - source
    far = np.square(shift).sum(1) >= NEAREST_COPY**2
    source, target, shift = source[far], target[far], shift[far]
    # As one number each, because rows of two take several times as long to sort.
    numbers, of_pair, counts = np.unique(
        (shift[:, 1] << 32) + shift[:, 0], return_inverse=True, return_counts=True
    )
    for most in np.argsort(-counts, kind="stable"):
        if counts[most] < FEWEST_WINDOWS:
            return
        down = (int(numbers[most]) + (1 << 31)) >> 32
        right = int(numbers[most]) - (down << 32)
        here = of_pair == most
        yield Repetition(
            np.array([[1.0, 0, right], [0, 1, down]]),
            (source[here] + _SIDE // 2).astype(np.float32),
            (target[here] + _SIDE // 2).astype(np.float32),
            likeness=1.0,
            by_keypoints=False,
        )


def _equal_windows(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of equal, detailed windows: the places of the first and of the second of each pair.

    A place counts the windows from left to right and from top to bottom. The first comes before the second.
    """
    place_mask = np.uint64((1 << _PLACE_BITS) - 1)
    places = np.flatnonzero(_detailed(pixels))
    keys = (_hashes(pixels).ravel()[places] & ~place_mask) | places.astype(np.uint64)
    keys.sort()
    hashes, places = keys >> np.uint64(_PLACE_BITS), (keys & place_mask).astype(np.intp)
    pattern = np.zeros(len(hashes), bool)
    starts = np.flatnonzero(hashes[MOST_ALIKE:] == hashes[:-MOST_ALIKE])
    for later in range(MOST_ALIKE + 1):
        pattern[starts + later] = True
    hashes, places = hashes[~pattern], places[~pattern]
    pairs = []
    for apart in range(1, MOST_ALIKE):
        equal = np.flatnonzero(hashes[apart:] == hashes[:-apart])
        pairs.append((places[equal], places[equal + apart]))
    first, second = zip(*pairs, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _hashes(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return a hash of each window, (height - 7, width - 7). Higher bits are better mixed."""
    red, green, blue = (pixels[..., channel].astype(np.uint64) for channel in range(3))
    values = ((red << np.uint64(16)) + (green << np.uint64(8)) + blue + np.uint64(1)) * _MIX
    values ^= values >> np.uint64(32)
    hashes = _rolled(_rolled(values.T, _ACROSS).T, _DOWN)
    hashes ^= hashes >> np.uint64(32)
    hashes *= _MIX
    return hashes


def _rolled(values: NDArray[np.uint64], base: int) -> NDArray[np.uint64]:
    """Return the polynomial in `base` of each `_SIDE` successive rows, modulo 2^64, by doubling."""
    reach = 1
    while reach < _SIDE:
        values = values[:-reach] * np.uint64(base) + values[reach:]
        base, reach = base * base % 2**64, 2 * reach
    return values


def _detailed(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which windows are full of detail, (height - 7, width - 7)."""
    gray = pixels.sum(2, dtype=np.int16)
    mixed = gray[1:, 1:] - gray[1:, :-1] - gray[:-1, 1:] + gray[:-1, :-1]
    share = cv2.boxFilter(
        (mixed != 0).astype(np.float32),
        -1,
        (_SIDE - 1, _SIDE - 1),
        anchor=(0, 0),
        borderType=cv2.BORDER_CONSTANT,
    )
    height, width = gray.shape
    return np.asarray(share[: height - _SIDE + 1, : width - _SIDE + 1] >= _LEAST_DETAIL)
