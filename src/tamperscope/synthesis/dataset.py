"""Many forgeries, written by several processes: the same files however many, and however often resumed."""

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

# Bytes of decoded photos that are kept, by all processes together.
_MEMORY = 2**31


@dataclass(frozen=True)
class DatasetRecipe:
    """What a set of forgeries is made of, and how; with a number it settles an image byte for byte."""

    photos: Path
    object_masks: Path | None
    held_out: bool
    out: Path
    layout: str
    """One of `WRITERS`."""
    keep_compression: bool
    seed: int
    size: int
    mix: Mix

    def open_library(self, workers: int = 1) -> PhotoLibrary:
        """Open the photos for one of `workers` processes."""
        return PhotoLibrary.open(
            self.photos, self.object_masks, held_out=self.held_out, memory=_MEMORY // workers
        )

    def make(self, library: PhotoLibrary, number: int) -> Forgery:
        """Make the image of that number."""
        return forge(library, np.random.default_rng([self.seed, number]), self.size, self.mix)


def write_dataset(
    recipe: DatasetRecipe,
    count: int,
    workers: int,
    done: Callable[[int], None],
    skip: Callable[[str, str], None],
) -> int:
    """Write images 0 to `count` into `recipe.out`, except those that are already there; returns how many.

    `done` is called with the number of images there, at first and after each; `skip` with the name of each
    photo that cannot be used, and why.

    Raises PhotosError when nothing can be made of the photos, SettingsError when the folder holds images of
    another recipe.
    """
    library = recipe.open_library(workers)
    _keep_to_one_order(recipe)
    log = recipe.out / "forgeries.jsonl"
    present = read_numbers(log)
    missing = [number for number in range(count) if number not in present]
    written = count - len(missing)
    done(written)
    named: set[str] = set()
    with log.open("a", encoding="utf-8") as lines:
        for record, skipped in _records(recipe, library, missing, workers):
            # The line comes after the files: what is named is there.
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
    """Yield each record in recipe, with the photos that its process has found unusable so far."""
    if workers == 1 or len(numbers) < 2:
        _use(recipe, library)
        yield from map(_write_one, numbers)
        return
    # Spawned, because forking a process that runs threads (OpenCV's, a progress bar's) can deadlock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (recipe, workers)) as pool:
        try:
            yield from pool.map(_write_one, numbers, chunksize=4)
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(recipe: DatasetRecipe, workers: int) -> None:
    # Ctrl-C reaches every process; the first one tells the others to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _use(recipe, recipe.open_library(workers))


def _use(recipe: DatasetRecipe, library: PhotoLibrary) -> None:
    global _order, _library
    cv2.setNumThreads(1)
    _order, _library = recipe, library


def _write_one(number: int) -> tuple[Record, dict[str, str]]:
    forgery = _order.make(_library, number)
    write = WRITERS[_order.layout]
    record = write(_order.out, number, forgery, keep_compression=_order.keep_compression)
    return record, dict(_library.skipped)


_order: DatasetRecipe
_library: PhotoLibrary


def _keep_to_one_order(recipe: DatasetRecipe) -> None:
    """Note the order in the folder, or compare it with the one that is noted there."""
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
                f"{recipe.out} holds forgeries that were made with other settings (see synthesis.json "
                "there); choose another folder, or delete it."
            )
        return
    note.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _plain_mix(mix: Mix) -> dict[str, Any]:
    types = {kind.value: share for kind, share in mix.types.items()}
    return {"authentic": mix.authentic, "types": types, "fillings": dict(mix.fillings)}
