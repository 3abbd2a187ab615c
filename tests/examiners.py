"""Scans with an examiner that needs no networks, which pools open in processes of their own.

Nothing else is imported here: each of those processes imports it all.
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
POISON = b"ends whoever reads it"
KILLER = b"ends the whole scan, the first time"


class FakeExaminer(Examiner):
    """Decodes, and takes the score from the first pixel; with `log`, notes in that folder what it examined.

    See POISON and KILLER.
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
    """Opens a fake examiner; into `folder` go a file for each load and one for each examination."""

    folder: Path
    together: int = 1
    """Examinations begin once so many examiners are open."""

    @property
    def loads(self) -> int:
        """How many examiners were opened by now."""
        return len(list(self._made("loads").iterdir()))

    @property
    def examined(self) -> list[str]:
        """The digests of all that was examined, in no order; twice, what was so twice."""
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
    """Has no bundle to open."""

    def __call__(self) -> Examiner:
        raise BundleError("There is no bundle here.")


class Unloadable:
    """Cannot be unpickled, as when a machine lacks a package."""

    def __reduce__(self) -> tuple[object, ...]:
        return importlib.import_module, ("a_package_that_no_machine_has",)

    def __call__(self) -> Examiner:
        raise AssertionError


def scan_folder(
    folder: Path, pool: LocalPool | ClusterPool, journal: Path, watch: Watch = lambda *_: None
) -> list[ScannedFile]:
    """Scan a folder with a pool, and return what the journal then says."""

    async def work() -> list[ScannedFile]:
        with Journal.open(journal, {}) as opened:
            async with pool:
                await scan(find([str(folder)], (), Skipped()), pool, opened, watch=watch)
            return list(opened.rows())

    return asyncio.run(work())


def scan_here(load: LoggedLoad, folder: Path, journal: Path) -> list[ScannedFile]:
    """Scan a folder with one process."""
    return scan_folder(folder, LocalPool(load, workers=1, largest=LARGEST), journal)
