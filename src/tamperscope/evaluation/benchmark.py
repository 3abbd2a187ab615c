"""Measure a detector on many images: in parallel, and from where an earlier run was stopped."""

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
from tamperscope.evaluation.measurement import Measurement, measure
from tamperscope.method import code_digest

_T = TypeVar("_T")


@dataclass(frozen=True)
class Task:
    """One analysis: a sample as it is, or corrupted first."""

    sample: Sample
    corruption: Corruption | None = None


def sweep(samples: Sequence[Sample], images: int) -> list[Task]:
    """Return every corruption of a selection of the samples.

    Half of the `images` are forged and half authentic, as far as there are so many, taken at even distances.
    """
    chosen = [
        sample
        for forged in (True, False)
        for sample in evenly([sample for sample in samples if sample.forged is forged], images // 2)
    ]
    return [Task(sample, corruption) for corruption in CORRUPTIONS for sample in chosen]


def evenly(items: Sequence[_T], count: int) -> list[_T]:
    """Return `count` of the items, or all where there are fewer, at even distances and in their order."""
    count = min(count, len(items))
    return [items[index] for index in np.linspace(0, len(items), count, endpoint=False).astype(int)]


class Journal:
    """Every finished measurement as one line of JSON, so that a run that was killed goes on where it stopped.

    The key of a line is the digest of all that the measurement depends on: bundle, options and code of the
    detector, the code of the evaluation, the corruption, the bytes of image and mask. What changed is
    measured again.
    """

    def __init__(self, path: Path) -> None:
        """Read the lines of earlier runs, and drop a last one that was cut off."""
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
        """How many measurements earlier runs left."""
        return len(self._lines)

    def __contains__(self, key: str) -> bool:
        return key in self._lines

    def __getitem__(self, key: str) -> Measurement:
        """Return what an earlier run measured; raises KeyError when none did."""
        return Measurement.from_json(self._lines[key])

    def add(self, key: str, measurement: Measurement) -> None:
        """Write a measurement down; threads may call this at the same time."""
        line = json.dumps({"key": key, "measurement": measurement.to_json()})
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def run(
    detector: Detector, tasks: Sequence[Task], journal: Journal, workers: int = 2
) -> Iterator[Measurement | Problem]:
    """Do the tasks in `workers` threads; yield in their order what was measured, or what prevented it."""
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
        *(hashlib.sha256(file.read_bytes()).hexdigest() for file in (sample.image, sample.mask) if file),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _reason(error: Exception, task: Task) -> str:
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return f"{reason} ({task.corruption.name})" if task.corruption else reason
