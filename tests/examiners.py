"""Scans with a fake examiner that needs no networks. Pools open it in separate processes.

This module imports only what it needs, because each of those processes imports it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tamperscope.errors import BundleError, ImageError
from tamperscope.images import read_image
from tamperscope.scanning.cluster import ClusterPool
from tamperscope.scanning.examination import Examined, Examiner, ScanRow
from tamperscope.scanning.files import Skipped, find
from tamperscope.scanning.journal import Journal, ScannedFile
from tamperscope.scanning.local import LocalPool
from tamperscope.scanning.scan import Watch, scan

LARGEST = 1_000_000
POISON = b"ends the process that reads it"
KILLER = b"ends the whole scan, the first time"


class FakeExaminer(Examiner):
    """Decodes the image, and takes the score from its first pixel.

    `log` is a folder that gets one file per examination. POISON ends the process. KILLER ends the whole scan,
    the first time.
    """

    def __init__(self, log: Path | None = None, begin: Callable[[], None] = lambda: None) -> None:
        self._log = log
        self._begin = begin

    def examine(self, data: bytes) -> Examined:
        self._begin()
        if self._log:
            handle, _ = tempfile.mkstemp(prefix=f"{hashlib.sha256(data).hexdigest()}-", dir=self._log)
            os.close(handle)
        if data == POISON:
            os._exit(1)
        if data == KILLER and self._log and not (self._log.parent / "killed").exists():
            (self._log.parent / "killed").touch()
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(1)
        try:
            image = read_image(data)
        except ImageError as error:
            return Examined(ScanRow.failed(str(error)))
        score = float(image.pixels[0, 0, 0]) / 255
        return Examined(ScanRow(verdict="inconclusive", score=score, width=image.width, height=image.height))


@dataclass(frozen=True)
class LoggedLoad:
    """Opens a fake examiner; `folder` gets one file for each load and one for each examination."""

    folder: Path
    together: int = 1
    """Examinations begin once this many examiners are open."""

    @property
    def loads(self) -> int:
        """The number of examiners opened so far."""
        return len(list(self._made("loads").iterdir()))

    @property
    def examined(self) -> list[str]:
        """The digest of each examination so far, in no particular order, with repetitions."""
        return [file.name.partition("-")[0] for file in self._made("examinations").iterdir()]

    def __call__(self) -> Examiner:
        (self._made("loads") / str(os.getpid())).touch()
        return FakeExaminer(self._made("examinations"), self._wait_for_others)

    def _wait_for_others(self) -> None:
        while self.loads < self.together:
            time.sleep(0.01)

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return self.folder / name


@dataclass(frozen=True)
class FailingLoad:
    """Raises `BundleError`, as for a missing bundle."""

    def __call__(self) -> Examiner:
        raise BundleError("There is no bundle here.")


class Unloadable:
    """Cannot be unpickled, as on a machine that lacks a package."""

    def __reduce__(self) -> tuple[object, ...]:
        return importlib.import_module, ("a_package_that_no_machine_has",)

    def __call__(self) -> Examiner:
        raise AssertionError


def scan_folder(
    folder: Path, pool: LocalPool | ClusterPool, journal: Path, watch: Watch = lambda *_: None
) -> list[ScannedFile]:
    """Scan a folder with a pool, and return the rows of its journal."""

    async def work() -> list[ScannedFile]:
        with Journal.open(journal, {}) as opened:
            async with pool:
                await scan(find([str(folder)], (), Skipped()), pool, opened, watch=watch)
            return list(opened.rows())

    return asyncio.run(work())


def scan_here(load: LoggedLoad, folder: Path, journal: Path) -> list[ScannedFile]:
    """Scan a folder on this machine, with one process."""
    return scan_folder(folder, LocalPool(load, workers=1, largest=LARGEST), journal)
