"""Copy-move: a region of a photo is repeated elsewhere in the same photo."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from tamperscope.synthesis import shapes
from tamperscope.synthesis.pasting import paste
from tamperscope.synthesis.recipe import Canvas, Mask, Pixels, Step
from tamperscope.synthesis.shapes import Cutout

# Share of the canvas that the copied region may cover.
_LARGEST_SHARE = 0.25
_PLACES = 24


def copy_move(host: Canvas, source: Mask, rng: np.random.Generator) -> Canvas | None:
    """Return `host` with the `source` region copied elsewhere one to three times.

    `source` is (height, width), True inside the region. A copy overlaps neither the source nor another copy.
    Return None when the source has hardly any pixels or covers more than a quarter of the canvas, and when
    there is no place for a copy.
    """
    piece = shapes.cut(host.pixels, source)
    if piece is None or np.count_nonzero(source) > _LARGEST_SHARE * source.size:
        return None
    copies = int(rng.choice([1, 2, 3], p=[0.8, 0.14, 0.06]))
    picture, taken = host, shapes.dilate(source, 3)
    for _ in range(copies):
        plain = rng.random() < 0.45
        scale = 1.0 if plain else float(np.exp(rng.normal(0, 0.25)))
        degrees = 0.0 if plain or rng.random() < 0.4 else float(rng.normal(0, 30))
        mirror = bool(rng.random() < 0.2)
        copy = shapes.transform(piece, scale, degrees, mirror=mirror)
        place = _free_place(picture.pixels, copy, taken, rng)
        pasted = None if place is None else paste(picture.pixels, copy, *place, rng, fit=False)
        if pasted is None:
            break
        pixels, mask, step = pasted
        taken |= shapes.dilate(mask, 3)
        moved = Step("copy-move", {"scale": scale, "degrees": degrees, "mirror": mirror, **step.parameters})
        picture = replace(picture.after(moved, pixels), mask=picture.mask | mask)
    return replace(picture, source_mask=source) if picture is not host else None


def _free_place(
    picture: Pixels, copy: Cutout, taken: Mask, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Return the top left corner (x, y) of a place where the whole copy fits outside `taken`.

    Of up to six such places, the one that looks most like the copy's own surroundings is chosen. Return None
    when no place is found.
    """
    height, width = taken.shape
    copy_height, copy_width = copy.mask.shape
    if copy_height > height or copy_width > width:
        return None
    around = shapes.dilate(copy.mask, 5) & ~copy.mask
    own = cv2.mean(copy.pixels, around.astype(np.uint8))
    wanted, best, best_difference = int(rng.integers(1, 7)), None, np.inf
    for _ in range(_PLACES):
        x, y = (int(rng.integers(0, room + 1)) for room in (width - copy_width, height - copy_height))
        box = np.s_[y : y + copy_height, x : x + copy_width]
        if (taken[box] & copy.mask).any():
            continue
        difference = float(np.abs(np.subtract(cv2.mean(picture[box], around.astype(np.uint8)), own)).sum())
        if difference < best_difference:
            best, best_difference = (x, y), difference
        wanted -= 1
        if wanted == 0:
            break
    return best
