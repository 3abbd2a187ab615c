"""Write many forgeries with several processes.

The files are the same whatever the number of processes, and however often a run was resumed.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tamperscope.errors import SettingsError
from tamperscope.synthesis.forgery import Forgery, Mix, forge
from tamperscope.synthesis.photos import PhotoLibrary
from tamperscope.synthesis.writing import WRITERS, Record, read_numbers

# Bytes of decoded photos that all processes together keep in memory.
_MEMORY = 2**31


@dataclass(frozen=True)
class DatasetRecipe:
    """What a set of forgeries is made from, and how.

    A recipe and an image's number determine the image byte for byte.
    """

    photos: Path
    """Folder of authentic photos."""
    object_masks: Path | None
    """Folder of object masks, as `PhotoLibrary.open` takes it."""
    held_out: bool
    """Whether to use the held-out photos instead of the others."""
    out: Path
    """Folder to write to."""
    layout: str
    """A key of `WRITERS`."""
    keep_compression: bool
    """Whether to keep the file that the last compression wrote (see `write_folder`)."""
    seed: int
    size: int
    """Width and height of an image in pixels."""
    mix: Mix

    def open_library(self, workers: int = 1) -> PhotoLibrary:
        """Return the photo library for one of `workers` processes, with its share of the memory."""
        return PhotoLibrary.open(
            self.photos, self.object_masks, held_out=self.held_out, memory=_MEMORY // workers
        )

    def make(self, library: PhotoLibrary, number: int) -> Forgery:
        """Return the image with this number."""
        return forge(library, np.random.default_rng([self.seed, number]), self.size, self.mix)


def write_dataset(
    recipe: DatasetRecipe,
    count: int,
    workers: int,
    done: Callable[[int], None],
    skip: Callable[[str, str], None],
) -> int:
    """Write images 0 to `count - 1` into `recipe.out`, except those that already exist.

    Args:
        recipe: What to make.
        count: How many images the finished set has.
        workers: How many processes make images.
        done: Called with the number of existing images, once at the start and after each new image.
        skip: Called with the name of each photo that cannot be used, and the reason.

    Returns:
        The number of images written.

    Raises:
        PhotosError: No image can be made from the photos.
        SettingsError: The folder holds images made with another recipe.

    Example:
        recipe = DatasetRecipe(
            photos=Path("photos"), object_masks=None, held_out=False, out=Path("forgeries"),
            layout="folder", keep_compression=True, seed=7, size=512, mix=Mix(),
        )
        write_dataset(recipe, count=1000, workers=4, done=print, skip=print)
    """
    library = recipe.open_library(workers)
    _keep_to_one_recipe(recipe)
    log = recipe.out / "forgeries.jsonl"
    present = read_numbers(log)
    missing = [number for number in range(count) if number not in present]
    written = count - len(missing)
    done(written)
    named: set[str] = set()
    with log.open("a", encoding="utf-8") as lines:
        for record, skipped in _records(recipe, library, missing, workers):
            # The line is written after the files, so that every file it names exists.
            lines.write(record.to_json() + "\n")
            lines.flush()
            for name, why in skipped.items():
                if name not in named:
                    skip(name, why)
            named |= skipped.keys()
            written += 1
            done(written)
    return len(missing)


def _records(
    recipe: DatasetRecipe, library: PhotoLibrary, numbers: Sequence[int], workers: int
) -> Iterator[tuple[Record, dict[str, str]]]:
    """Yield the records in order, each with the photos that its process has found unusable so far."""
    if workers == 1 or len(numbers) < 2:
        _use(recipe, library)
        yield from map(_write_one, numbers)
        return
    # Forking a process that runs threads (OpenCV's, a progress bar's) can deadlock, hence "spawn".
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (recipe, workers)) as pool:
        try:
            yield from pool.map(_write_one, numbers, chunksize=4)
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(recipe: DatasetRecipe, workers: int) -> None:
    # Ctrl-C reaches every process; the parent stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _use(recipe, recipe.open_library(workers))


def _use(recipe: DatasetRecipe, library: PhotoLibrary) -> None:
    global _recipe, _library
    cv2.setNumThreads(1)
    _recipe, _library = recipe, library


def _write_one(number: int) -> tuple[Record, dict[str, str]]:
    forgery = _recipe.make(_library, number)
    write = WRITERS[_recipe.layout]
    record = write(_recipe.out, number, forgery, keep_compression=_recipe.keep_compression)
    return record, dict(_library.skipped)


_recipe: DatasetRecipe
_library: PhotoLibrary


def _keep_to_one_recipe(recipe: DatasetRecipe) -> None:
    """Store the recipe in the folder, or compare it with the one that is stored there."""
    recipe.out.mkdir(parents=True, exist_ok=True)
    note = recipe.out / "synthesis.json"
    settings = {
        "photos": str(recipe.photos.resolve()),
        "object_masks": recipe.object_masks and str(recipe.object_masks.resolve()),
        **{
            field.name: getattr(recipe, field.name)
            for field in dataclasses.fields(recipe)
            if field.name not in ("photos", "object_masks", "out", "mix")
        },
        "mix": _plain_mix(recipe.mix),
    }
    if note.exists():
        if json.loads(note.read_text(encoding="utf-8")) != settings:
            raise SettingsError(
                f"{recipe.out} holds forgeries made with other settings (see its synthesis.json). "
                "Choose another folder, or delete this one."
            )
        return
    note.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _plain_mix(mix: Mix) -> dict[str, Any]:
    types = {kind.value: share for kind, share in mix.types.items()}
    return {"authentic": mix.authentic, "types": types, "fillings": dict(mix.fillings)}
