"""Measure a detector on many images in parallel, and resume a run that was stopped."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from tamperscope.datasets import Problem, Sample
from tamperscope.detector import Detector
from tamperscope.errors import DatasetError, ImageError
from tamperscope.evaluation.corruption import CORRUPTIONS, Corruption
from tamperscope.evaluation.measurement import Measurement, measure, picture_kind
from tamperscope.method import code_digest

_T = TypeVar("_T")


@dataclass(frozen=True)
class Task:
    """One analysis of a sample, unchanged or corrupted."""

    sample: Sample
    corruption: Corruption | None = None


def sweep(samples: Sequence[Sample], images: int) -> list[Task]:
    """Return a task for every corruption of every selected sample.

    Up to `images // 2` forged and `images // 2` authentic samples are selected, evenly spaced.
    """
    chosen = [
        sample
        for forged in (True, False)
        for sample in evenly([sample for sample in samples if sample.forged is forged], images // 2)
    ]
    return [Task(sample, corruption) for corruption in CORRUPTIONS for sample in chosen]


def evenly(items: Sequence[_T], count: int) -> list[_T]:
    """Return `count` evenly spaced items in their order, or all items if there are fewer.

    >>> evenly("abcdef", 3)
    ['a', 'c', 'e']
    """
    count = min(count, len(items))
    return [items[index] for index in np.linspace(0, len(items), count, endpoint=False).astype(int)]


class Journal:
    """A file with one line of JSON per finished measurement, from which a killed run resumes.

    The key of a line is a digest of everything the measurement depends on: the detector's bundle, options and
    code, the evaluation's code, the corruption, the kind in the file name, how the mask is read, and the
    bytes of image and mask. When any of these changes, the image is measured again.
    """

    def __init__(self, path: Path) -> None:
        """Read the lines of earlier runs. An incomplete last line is dropped from the file."""
        self._path = path
        self._lock = threading.Lock()
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            path.write_bytes(whole)
        self._lines = {}
        for line in whole.splitlines():
            document = json.loads(line)
            self._lines[str(document["key"])] = document["measurement"]

    def __len__(self) -> int:
        """Return how many measurements earlier runs left."""
        return len(self._lines)

    def __contains__(self, key: str) -> bool:
        return key in self._lines

    def __getitem__(self, key: str) -> Measurement:
        """Return the measurement of an earlier run.

        Raises:
            KeyError: No earlier run made it.
        """
        return Measurement.from_json(self._lines[key])

    def add(self, key: str, measurement: Measurement) -> None:
        """Append a measurement. Thread-safe."""
        line = json.dumps({"key": key, "measurement": measurement.to_json()})
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def run(
    detector: Detector, tasks: Sequence[Task], journal: Journal, workers: int = 2
) -> Iterator[Measurement | Problem]:
    """Measure the tasks in parallel.

    Args:
        detector: The detector to measure.
        tasks: The analyses to run.
        journal: Supplies finished measurements, and records new ones.
        workers: Number of threads.

    Yields:
        For each task, in order, its measurement, or a problem when the image or mask cannot be used.

    Raises:
        OSError: The journal cannot be written.
    """
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(partial(_measured, detector, journal), tasks)


def _measured(detector: Detector, journal: Journal, task: Task) -> Measurement | Problem:
    try:
        key = _key(detector, task)
        if key in journal:
            return journal[key]
        measurement = measure(detector, task.sample, task.corruption)
    except (ImageError, DatasetError, OSError) as error:
        return Problem(task.sample.image, _reason(error, task))
    journal.add(key, measurement)
    return measurement


def _key(detector: Detector, task: Task) -> str:
    sample = task.sample
    parts = (
        detector.method.key,
        code_digest("datasets", "evaluation"),
        task.corruption.name if task.corruption else "",
        sample.set,
        sample.type,
        picture_kind(sample),
        sample.mask_encoding.name,
        *(hashlib.sha256(file.read_bytes()).hexdigest() for file in (sample.image, sample.mask) if file),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _reason(error: Exception, task: Task) -> str:
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return f"{reason} ({task.corruption.name})" if task.corruption else reason
