"""Find problems with a dataset's images and masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tamperscope.datasets.reading import Problem
from tamperscope.datasets.sample import Sample
from tamperscope.errors import DatasetError, ImageError
from tamperscope.images import read_image, read_size


def find_problems(samples: Iterable[Sample]) -> Iterator[Problem | None]:
    """Decode every image and mask; yield one item per sample, in order: its problem, or None.

    Problems are damaged files, masks that mark nothing, and masks that mark more than half of the image. Most
    of the latter are inverted, but some are right.
    """
    return in_threads(_content_problem, samples)


def header_problem(sample: Sample) -> Problem | None:
    """Return the problem that the headers of a sample's files show, or None."""
    try:
        width, height = read_size(sample.image)
    except (ImageError, OSError) as error:
        return _problem(sample.image, error)
    if sample.mask is None:
        return None
    try:
        mask_width, mask_height = read_size(sample.mask)
    except (ImageError, OSError) as error:
        return _problem(sample.mask, error)
    if (mask_width, mask_height) != (width, height):
        return Problem(
            sample.mask, f"This mask is {mask_width}x{mask_height}, but its image is {width}x{height}."
        )
    return None


def _content_problem(sample: Sample) -> Problem | None:
    try:
        image = read_image(sample.image)
    except (ImageError, OSError) as error:
        return _problem(sample.image, error)
    if sample.mask is None:
        return None
    try:
        share = float(sample.ground_truth(image.height, image.width).mean())
    except DatasetError as error:
        return _problem(sample.mask, error)
    if share == 0:
        return Problem(sample.mask, "This mask marks nothing.")
    if share > 0.5:
        return Problem(sample.mask, f"This mask marks {share:.0%} of its image; is it inverted?")
    return None


def _problem(path: Path, error: Exception) -> Problem:
    missing = isinstance(error, FileNotFoundError)
    return Problem(path, "There is no such file." if missing else str(error))


_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_threads(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Apply a function to each item, several at a time, and yield the results in order."""
    pool = ThreadPoolExecutor()
    try:
        yield from pool.map(function, items)
    finally:
        # Drop what is queued: otherwise Ctrl-C on a large dataset would take effect minutes later.
        pool.shutdown(cancel_futures=True)
