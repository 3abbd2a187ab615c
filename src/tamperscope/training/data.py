"""Forgeries as an endless stream of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from tamperscope.network.joint import IMAGENET_MEAN, IMAGENET_STD
from tamperscope.synthesis import Forgery, PhotoLibrary, forge

NO_TYPE = -1


class Example(NamedTuple):
    """One training example, or a batch of them with a leading dimension."""

    image: Tensor
    """(3, H, W) float32, normalised RGB."""
    mask: Tensor
    """(1, H, W) float32, 1 where manipulated."""
    type: Tensor
    """() int64, the type's id, or `NO_TYPE` when authentic."""


class ForgeryStream(IterableDataset[Example]):
    """Endless examples; each worker draws from its own generator, derived from the seed."""

    def __init__(self, library: PhotoLibrary, size: int, seed: int) -> None:
        self.library, self.size, self.seed = library, size, seed

    def __iter__(self) -> Iterator[Example]:
        """Yield examples for ever."""
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield to_example(forge(self.library, rng, self.size))


def to_example(forgery: Forgery) -> Example:
    """Turn a forgery into tensors."""
    pixels = (forgery.pixels.astype(np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    return Example(
        torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1).copy()),
        torch.from_numpy(forgery.mask[None].astype(np.float32)),
        torch.tensor(NO_TYPE if forgery.type is None else forgery.type.id),
    )
