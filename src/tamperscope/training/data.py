"""Training examples by number, and the batches that processes and interrupted runs share out.

Example number i of a run is the same whoever makes it and when: forgeries and crops take their randomness
from (seed, i). So the order of the data does not depend on the number of workers, several processes see
different examples, and a resumed run goes on where the interrupted one stopped.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as Examples

from tamperscope.datasets import Reading, Sample, read_dataset
from tamperscope.datasets.split import split
from tamperscope.errors import DatasetError, ImageError, TrainingError
from tamperscope.images import read_image
from tamperscope.network.block_view import BLOCK
from tamperscope.report import ManipulationType
from tamperscope.synthesis import Mix, PhotoLibrary, forge
from tamperscope.synthesis.laundering import any_encoder, jpeg
from tamperscope.training.config import Config, Dataset, Synthetic

NO_TYPE = -1
_TRIES = 20
"""Images in a row that may be unreadable before training gives up."""

_RESAVED_AT = 50, 92
"""Lowest and highest quality."""
_MEMORY = 2**32
"""Bytes of decoded photos that are kept, and shared by the workers."""

_logger = logging.getLogger(__name__)


class Example(NamedTuple):
    """One image, or a batch of them with a leading dimension."""

    image: Tensor
    """(H, W, 3) uint8 RGB; once it is on the device, (N, 3, H, W) float32, normalised."""
    mask: Tensor
    """(H, W) bool, True where manipulated; once it is on the device, (N, 1, H, W) float32."""
    type: Tensor
    """() int64, the manipulation type's id, or `NO_TYPE` when authentic or unknown."""


def read_parts(dataset: Dataset, seed: int) -> tuple[Reading, dict[str, tuple[Sample, ...]]]:
    """Read a dataset and divide it by source photo; return what was found, and the samples of each part.

    Every training on it with this seed has the same parts, whatever its task.

    Raises DatasetError when there is nothing in the dataset's layout.
    """
    reading = read_dataset(dataset.path, dataset.layout)
    return reading, split(reading.samples, dataset.shares, seed)


class Forgeries(Examples[Example]):
    """Forgeries by number, without end."""

    def __init__(self, library: PhotoLibrary, size: int, seed: int, mix: Mix) -> None:
        self.library, self.size, self.seed, self.mix = library, size, seed, mix

    def __getitem__(self, number: int) -> Example:
        """Make forgery `number`."""
        forgery = forge(self.library, np.random.default_rng([self.seed, number]), self.size, self.mix)
        return to_example(forgery.pixels, forgery.mask, forgery.type)


class Crops(Examples[Example]):
    """Random crops of a dataset's images by number, without end: each image once, then each once more...

    A crop of a forged image shows some of what was manipulated four times out of five; half of the crops
    are mirrored. All of them begin on the grid of JPEG's blocks, as the images that are analysed do, and a
    share of them is compressed once more.
    """

    def __init__(self, samples: Sequence[Sample], size: int, seed: int, resaved: float = 0.0) -> None:
        self.samples, self.size, self.seed, self.resaved = samples, size, seed, resaved

    def __getitem__(self, number: int) -> Example:
        """Cut crop `number`; an image that cannot be read is left out for the next one.

        Raises `TrainingError` when many in a row cannot be read.
        """
        rng = np.random.default_rng([self.seed, number])
        for place in range(number, number + _TRIES):
            sample = self._sample(place)
            try:
                return self._crop(sample, rng)
            except (ImageError, DatasetError, OSError) as error:
                _logger.warning("%s is left out: %s", sample.image, error)
        raise TrainingError(f"{_TRIES} images in a row cannot be used, {sample.image} for one.")

    def _sample(self, number: int) -> Sample:
        turn, place = divmod(number, len(self.samples))
        return self.samples[int(_order(self.seed, turn, len(self.samples))[place])]

    def _crop(self, sample: Sample, rng: np.random.Generator) -> Example:
        pixels = read_image(sample.image).pixels
        mask = sample.ground_truth(*pixels.shape[:2])
        missing = [max(self.size - side, 0) for side in mask.shape]
        if any(missing):
            border = (0, missing[0], 0, missing[1], cv2.BORDER_REFLECT_101)
            pixels = cv2.copyMakeBorder(pixels, *border)
            mask = cv2.copyMakeBorder(mask.view(np.uint8), *border) > 0
        top, left = (int(rng.integers(0, side - self.size + 1)) for side in mask.shape)
        manipulated = np.argwhere(mask)
        if len(manipulated) and rng.random() < 0.8:
            within = rng.integers(0, self.size - BLOCK + 1, 2)
            anchor = manipulated[rng.integers(len(manipulated))] - within
            top, left = np.clip(anchor, 0, np.array(mask.shape) - self.size)
        top, left = top - top % BLOCK, left - left % BLOCK
        window = np.s_[top : top + self.size, left : left + self.size]
        pixels, mask = pixels[window], mask[window]
        if rng.random() < 0.5:
            pixels, mask = pixels[:, ::-1], mask[:, ::-1]
        if rng.random() < self.resaved:
            pixels, _, _ = jpeg(pixels, any_encoder(rng, (), _RESAVED_AT))
        return to_example(pixels, mask, sample.type if mask.any() else None)


@lru_cache(maxsize=2)
def _order(seed: int, turn: int, count: int) -> NDArray[np.intp]:
    return np.random.default_rng([seed, turn]).permutation(count)


def to_example(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], kind: ManipulationType | None) -> Example:
    """Turn (H, W, 3) pixels and their (H, W) mask into tensors."""
    return Example(
        torch.from_numpy(pixels.copy()),
        torch.from_numpy(mask.copy()),
        torch.tensor(NO_TYPE if kind is None else kind.id),
    )


class Batches(Sampler[list[int]]):
    """The numbers of one process's batches, without end.

    With two processes of batches of 8, process 0 has the batches 0, 2, 4... of a single process, process 1
    the others; `first` is the process's own batch to begin with.
    """

    def __init__(self, size: int, first: int, process: int, processes: int) -> None:
        self.size, self.first, self.process, self.processes = size, first, process, processes

    def __iter__(self) -> Iterator[list[int]]:
        """Yield lists of example numbers."""
        for turn in itertools.count(self.first):
            start = (turn * self.processes + self.process) * self.size
            yield list(range(start, start + self.size))


class TrainingData(lightning.LightningDataModule):
    """What a run trains on, without end, and the fixed images it is validated on."""

    def __init__(self, config: Config, *, types_needed: bool = False) -> None:
        """Find photos or images; `types_needed` leaves out those whose manipulation type is unknown.

        Raises `TrainingError`, `DatasetError` or `PhotosError` when there are none.
        """
        super().__init__()
        # OpenCV's threads do not survive the fork of a worker, which then waits for them for ever.
        cv2.setNumThreads(1)
        self.config = config
        self.type_counts: tuple[int, ...] | None = None
        """Training images of each manipulation type; None when they are made on the fly."""
        self.length: int | None = None
        """Training images that there are; None when they are made on the fly."""
        if config.dataset:
            self._open_dataset(config.dataset, types_needed)
        elif config.synthetic:
            self._open_photos(config.synthetic, Mix(authentic=0) if types_needed else Mix())
        # Here rather than in a worker, whose errors come with a stack trace.
        self.training[0]

    def train_dataloader(self) -> DataLoader[Example]:
        """Return batches from where the trainer stands."""
        machines, optimisation = self.config.machines, self.config.optimisation
        batches = Batches(
            optimisation.batch,
            first=self.trainer.global_step * optimisation.accumulate,
            process=self.trainer.global_rank,
            processes=self.trainer.world_size,
        )
        return DataLoader(
            self.training,
            batch_sampler=batches,
            num_workers=machines.workers,
            prefetch_factor=4 if machines.workers else None,
            # Forked workers share the decoded photos with this process.
            multiprocessing_context="fork" if machines.workers else None,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> DataLoader[Example]:
        """Return the held-out images, the same in each process."""
        return DataLoader(self.validation, batch_size=self.config.optimisation.batch)  # type: ignore[arg-type]

    def _open_photos(self, synthetic: Synthetic, mix: Mix) -> None:
        _must_be_folder("synthetic.photos", synthetic.photos)
        if synthetic.object_masks:
            _must_be_folder("synthetic.object_masks", synthetic.object_masks)
        library, held_out = (
            PhotoLibrary.open(synthetic.photos, synthetic.object_masks, held_out=held_out, memory=_MEMORY)
            for held_out in (False, True)
        )
        if self.config.machines.workers > 1:
            library.survey()
        self.summary = f"{len(library.photos)} photos to train on, {len(held_out.photos)} to validate on"
        if skipped := len(library.skipped) + len(held_out.skipped):
            self.summary += f"; {skipped} cannot be used"
        self.training: Examples[Example] = Forgeries(library, synthetic.size, self.config.seed, mix)
        self._keep(
            Forgeries(held_out, synthetic.size, self.config.seed, mix), self.config.budget.validation_images
        )

    def _open_dataset(self, dataset: Dataset, types_needed: bool) -> None:
        _must_be_folder("dataset.path", dataset.path)
        reading, parts = read_parts(dataset, self.config.seed)
        if types_needed:
            parts = {
                name: tuple(sample for sample in samples if sample.type is not None)
                for name, samples in parts.items()
            }
        if empty := [name for name in ("train", "validation") if not parts[name]]:
            kind = "images whose manipulation type is known" if types_needed else "images"
            raise TrainingError(
                f"dataset.path: {dataset.path} holds {len(reading.samples)} images as {dataset.layout}, "
                f"but no {kind} for {' and '.join(empty)}."
            )
        self.training = Crops(parts["train"], dataset.crop, self.config.seed, dataset.resaved)
        self.length = len(parts["train"])
        self.summary = f"{self.length} images to train on, {len(parts['validation'])} to validate on"
        if reading.problems:
            self.summary += f"; {len(reading.problems)} files cannot be used, see: tamperscope dataset"
        self.type_counts = tuple(
            sum(sample.type is kind for sample in parts["train"]) for kind in ManipulationType
        )
        count = min(len(parts["validation"]), self.config.budget.validation_images)
        self._keep(Crops(parts["validation"], dataset.crop, self.config.seed), count)

    def _keep(self, examples: Examples[Example], count: int) -> None:
        self.validation = [examples[number] for number in range(count)]


def _must_be_folder(key: str, path: Path) -> None:
    if not path.is_dir():
        raise TrainingError(f"There is no folder {path}; say where it is: {key}=FOLDER.")
