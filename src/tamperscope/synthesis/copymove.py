"""Copy-move: something repeated elsewhere in the same photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis import shapes
from tamperscope.synthesis.recipe import Step
from tamperscope.synthesis.shapes import Mask


def copy_move(
    host: NDArray[np.uint8], source: Mask, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Mask, Step] | None:
    """Copy the `source` area of `host` elsewhere; None when no place leaves the source alone."""
    piece = shapes.cut(host, source)
    if piece is None or source.mean() > 0.3:
        return None
    height, width = source.shape
    plain = rng.random() < 0.4
    scale = 1.0 if plain else float(np.exp(rng.uniform(-0.35, 0.35)))
    degrees = 0.0 if plain else float(rng.normal(0, 25))
    piece = shapes.transform(piece, scale, degrees, mirror=rng.random() < 0.25)
    for _ in range(12):
        x = int(rng.integers(0, max(width - piece.mask.shape[1], 0) + 1))
        y = int(rng.integers(0, max(height - piece.mask.shape[0], 0) + 1))
        layer, mask = shapes.place(piece, host, x, y)
        if mask.sum() >= 100 and (mask & source).sum() < 0.1 * mask.sum():
            result = shapes.blend(host, layer, shapes.soft_edge(mask, rng))
            return result, mask, Step("copy-move", {"scale": scale, "degrees": degrees, "x": x, "y": y})
    return None
