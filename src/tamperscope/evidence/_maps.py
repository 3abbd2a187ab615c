"""Maps of an image, made of what was measured in its blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def of_blocks(
    blocks: NDArray[np.float32], side: int, pixels: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return a map of `shape`, (rows, columns), in which each block covers `side` x `side` pixels.

    `blocks` is (blocks down, blocks across) float32, from the upper left corner of an image of `pixels`,
    (height, width). The map covers the whole image, and is 0 beyond the last block.
    """
    down, across = (
        np.minimum(((np.arange(places) + 0.5) * (length / places)).astype(np.intp) // side, count)
        for places, length, count in zip(shape, pixels, blocks.shape, strict=True)
    )
    return np.asarray(np.pad(blocks, ((0, 1), (0, 1))).take(down, axis=0).take(across, axis=1), np.float32)
