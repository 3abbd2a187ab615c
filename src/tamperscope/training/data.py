"""Training examples by number, and batches of them for several processes and resumed runs.

Example number i of a run is the same regardless of which process makes it and when: forgeries and crops draw
their randomness from (seed, i). So the order of the data does not depend on the number of workers, processes
see different examples, and a resumed run continues where the interrupted one stopped.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
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
"""Unreadable images in a row after which training gives up."""

_RESAVED_AT = 50, 92
_SENT_AT = 60, 90
"""Lowest and highest JPEG quality."""
_SENT_SCALE = 0.5, 0.9
"""Smallest and largest factor of the sides."""
_MEMORY = 2**32
"""Bytes of decoded photos that are kept in memory and shared with the workers."""

_logger = logging.getLogger(__name__)


class Example(NamedTuple):
    """One image, or a batch of images with a leading dimension."""

    image: Tensor
    """(H, W, 3) uint8 RGB; on the device, (N, 3, H, W) float32, normalised."""
    mask: Tensor
    """(H, W) bool, True where manipulated; on the device, (N, 1, H, W) float32."""
    type: Tensor
    """() int64, the manipulation type's id, or `NO_TYPE` when the image is authentic or its type unknown."""


def read_parts(dataset: Dataset, seed: int) -> tuple[Reading, dict[str, tuple[Sample, ...]]]:
    """Read a dataset and divide it by source photo; return the reading and the samples of each part.

    The parts depend on the dataset and the seed only, so runs for different tasks share them.

    Raises `DatasetError` when the folder contains nothing in the dataset's layout.
    """
    reading = read_dataset(dataset.path, dataset.layout)
    return reading, split(reading.samples, dataset.shares, seed)


class Forgeries(Examples[Example]):
    """An endless sequence of forgeries."""

    def __init__(self, library: PhotoLibrary, size: int, seed: int, mix: Mix) -> None:
        self.library, self.size, self.seed, self.mix = library, size, seed, mix

    def __getitem__(self, number: int) -> Example:
        """Make forgery `number`."""
        forgery = forge(self.library, np.random.default_rng([self.seed, number]), self.size, self.mix)
        return to_example(forgery.pixels, forgery.mask, forgery.type)


class Crops(Examples[Example]):
    """An endless sequence of random crops of a dataset's images. Each image is used once per pass.

    Four of five crops of forged images contain manipulated pixels, and half of the crops are mirrored. All
    crops start on the JPEG block grid, like the images that are analysed. A share of `resaved` is
    compressed again, and a share of `sent` is scaled down and then compressed.
    """

    def __init__(
        self, samples: Sequence[Sample], size: int, seed: int, *, resaved: float = 0.0, sent: float = 0.0
    ) -> None:
        self.samples, self.size, self.seed = samples, size, seed
        self.resaved, self.sent = resaved, sent

    def __getitem__(self, number: int) -> Example:
        """Make crop `number`. An image that cannot be used is replaced by the next one.

        Raises `TrainingError` when too many images in a row cannot be used.
        """
        rng = np.random.default_rng([self.seed, number])
        for place in range(number, number + _TRIES):
            sample = self._sample(place)
            try:
                return self._crop(sample, rng)
            except (ImageError, DatasetError, OSError) as error:
                _logger.warning("%s is skipped: %s", sample.image, error)
        raise TrainingError(f"{_TRIES} images in a row cannot be used; the last one is {sample.image}.")

    def _sample(self, number: int) -> Sample:
        turn, place = divmod(number, len(self.samples))
        return self.samples[int(_order(self.seed, turn, len(self.samples))[place])]

    def _crop(self, sample: Sample, rng: np.random.Generator) -> Example:
        pixels = read_image(sample.image).pixels
        mask = sample.ground_truth(*pixels.shape[:2])
        sent = rng.random() < self.sent
        size = self._before_sending(min(mask.shape), rng) if sent else self.size
        missing = [max(size - side, 0) for side in mask.shape]
        if any(missing):
            border = (0, missing[0], 0, missing[1], cv2.BORDER_REFLECT_101)
            pixels = cv2.copyMakeBorder(pixels, *border)
            mask = cv2.copyMakeBorder(mask.view(np.uint8), *border) > 0
        top, left = (int(rng.integers(0, side - size + 1)) for side in mask.shape)
        manipulated = np.argwhere(mask)
        if len(manipulated) and rng.random() < 0.8:
            within = rng.integers(0, size - BLOCK + 1, 2)
            anchor = manipulated[rng.integers(len(manipulated))] - within
            top, left = np.clip(anchor, 0, np.array(mask.shape) - size)
        top, left = top - top % BLOCK, left - left % BLOCK
        window = np.s_[top : top + size, left : left + size]
        pixels, mask = pixels[window], mask[window]
        if rng.random() < 0.5:
            pixels, mask = pixels[:, ::-1], mask[:, ::-1]
        if sent:
            sides = self.size, self.size
            pixels = cv2.resize(pixels, sides, interpolation=cv2.INTER_AREA)
            mask = cv2.resize(mask.astype(np.float32), sides, interpolation=cv2.INTER_AREA) > 0.5
        if sent or rng.random() < self.resaved:
            pixels, _, _ = jpeg(pixels, any_encoder(rng, (), _SENT_AT if sent else _RESAVED_AT))
        return to_example(pixels, mask, sample.type if mask.any() else None)

    def _before_sending(self, longest: int, rng: np.random.Generator) -> int:
        """Return the side of a crop before it is scaled down, at most `longest` if that is enough."""
        return max(min(round(self.size / rng.uniform(*_SENT_SCALE)), longest), self.size)


class Mixed(Examples[Example]):
    """An endless sequence of forgeries, of which a share is replaced by crops of a dataset.

    Which ones depends on the seed and the number alone. The crops are used in their own order.
    """

    def __init__(
        self, forgeries: Examples[Example], crops: Examples[Example], share: float, seed: int
    ) -> None:
        self.forgeries, self.crops, self.share, self.seed = forgeries, crops, share, seed

    def __getitem__(self, number: int) -> Example:
        """Return example `number`."""
        # Numbers up to n contain n * share crops, so each crop has a number of its own.
        before, after = (int((number + step + self._offset) * self.share) for step in (0, 1))
        return self.crops[before] if after > before else self.forgeries[number]

    @cached_property
    def _offset(self) -> float:
        return float(np.random.default_rng(self.seed).random() / self.share)


@lru_cache(maxsize=2)
def _order(seed: int, turn: int, count: int) -> NDArray[np.intp]:
    return np.random.default_rng([seed, turn]).permutation(count)


def to_example(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], kind: ManipulationType | None) -> Example:
    """Return the example of (H, W, 3) uint8 RGB pixels and their (H, W) bool mask."""
    return Example(
        torch.from_numpy(pixels.copy()),
        torch.from_numpy(mask.copy()),
        torch.tensor(NO_TYPE if kind is None else kind.id),
    )


class Batches(Sampler[list[int]]):
    """The example numbers of one process's batches, without end.

    With two processes, process 0 has the batches 0, 2, 4... that a single process would have, and process 1
    has the others. `first` is the index, among the process's own batches, of the batch to start with.
    """

    def __init__(self, size: int, first: int, process: int, processes: int) -> None:
        self.size, self.first, self.process, self.processes = size, first, process, processes

    def __iter__(self) -> Iterator[list[int]]:
        """Yield lists of example numbers."""
        for turn in itertools.count(self.first):
            start = (turn * self.processes + self.process) * self.size
            yield list(range(start, start + self.size))


class TrainingData(lightning.LightningDataModule):
    """An endless sequence of training examples, and a fixed set of validation images."""

    def __init__(self, config: Config, *, types_needed: bool = False) -> None:
        """Find the photos or images. `types_needed` omits images whose manipulation type is unknown.

        Raises `TrainingError`, `DatasetError` or `PhotosError` when there are none.
        """
        super().__init__()
        # OpenCV's threads do not survive the fork of a worker, which would then wait for them forever.
        cv2.setNumThreads(1)
        self.config = config
        self.type_counts: tuple[int, ...] | None = None
        """Number of training images of each manipulation type; None when they are made on the fly."""
        self.length: int | None = None
        """Number of training images; None when they are made on the fly."""
        count = config.budget.validation_images
        if config.dataset and config.synthetic:
            from_dataset = max(round(count * config.dataset.share), 1)
            crops, kept_crops = self._open_dataset(config.dataset, types_needed, from_dataset)
            crops_summary = self.summary
            forgeries, kept = self._open_photos(config.synthetic, types_needed, count - from_dataset)
            self.summary += f"; {config.dataset.share:.0%} from a dataset: {crops_summary}"
            self.training: Examples[Example] = Mixed(forgeries, crops, config.dataset.share, config.seed)
            self.validation = kept + kept_crops
            self.type_counts = self.length = None
        elif config.dataset:
            self.training, self.validation = self._open_dataset(config.dataset, types_needed, count)
        elif config.synthetic:
            self.training, self.validation = self._open_photos(config.synthetic, types_needed, count)
        # Fail here rather than in a worker, whose errors come with a stack trace.
        self.training[0]

    def train_dataloader(self) -> DataLoader[Example]:
        """Return batches, starting at the trainer's current step."""
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
        """Return the validation images, the same in each process."""
        return DataLoader(self.validation, batch_size=self.config.optimisation.batch)  # type: ignore[arg-type]

    def _open_photos(
        self, synthetic: Synthetic, types_needed: bool, count: int
    ) -> tuple[Examples[Example], list[Example]]:
        """Return the training images, and `count` validation images."""
        mix = Mix(authentic=0) if types_needed else Mix()
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
        seed = self.config.seed
        validation = Forgeries(held_out, synthetic.size, seed, mix)
        return Forgeries(library, synthetic.size, seed, mix), _first(validation, count)

    def _open_dataset(
        self, dataset: Dataset, types_needed: bool, count: int
    ) -> tuple[Examples[Example], list[Example]]:
        """Return the training images, and up to `count` validation images."""
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
                f"dataset.path: {dataset.path} contains {len(reading.samples)} images in the layout "
                f"{dataset.layout}, but no {kind} for {' and '.join(empty)}."
            )
        training = Crops(
            parts["train"], dataset.crop, self.config.seed, resaved=dataset.resaved, sent=dataset.sent
        )
        self.length = len(parts["train"])
        self.summary = f"{self.length} images to train on, {len(parts['validation'])} to validate on"
        if reading.problems:
            self.summary += (
                f"; {len(reading.problems)} files cannot be used (list them with: tamperscope dataset)"
            )
        self.type_counts = tuple(
            sum(sample.type is kind for sample in parts["train"]) for kind in ManipulationType
        )
        validation = Crops(parts["validation"], dataset.crop, self.config.seed)
        return training, _first(validation, min(len(parts["validation"]), count))


def _first(examples: Examples[Example], count: int) -> list[Example]:
    return [examples[number] for number in range(count)]


def _must_be_folder(key: str, path: Path) -> None:
    if not path.is_dir():
        raise TrainingError(f"There is no folder {path}; set {key}=FOLDER.")
