"""Scans with examiners that need no networks, which pools open in processes of their own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from fakes import FakeDetector
from tamperscope.errors import BundleError
from tamperscope.scanning.cluster import ClusterPool
from tamperscope.scanning.files import Skipped, find
from tamperscope.scanning.finding import Examination, Examiner, Outcome
from tamperscope.scanning.journal import Journal, Row
from tamperscope.scanning.local import LocalPool
from tamperscope.scanning.scan import Watch, scan

LARGEST = 1_000_000
POISON = b"ends whoever reads it"
KILLER = b"ends the whole scan, the first time"


class FakeExaminer(Examiner):
    """Examines with the fake detector and notes it in `log`; see POISON and KILLER."""

    def __init__(self, log: Path) -> None:
        super().__init__(FakeDetector(), Examination(masks=True))
        self._log = log

    def examine(self, data: bytes) -> Outcome:
        number = len(list(self._log.iterdir()))
        (self._log / f"{number}-{hashlib.sha256(data).hexdigest()[:8]}-{os.getpid()}").touch()
        if data == POISON:
            os._exit(1)
        if data == KILLER and not (self._log / "killed").exists():
            (self._log / "killed").touch()
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(1)
        return super().examine(data)


@dataclass(frozen=True)
class LoggedLoad:
    """Opens a fake examiner; into `folder` go a file for each load and one for each examination."""

    folder: Path

    @property
    def loads(self) -> int:
        """How many examiners were opened by now."""
        return len(list(self._made("loads").iterdir()))

    @property
    def examined(self) -> list[str]:
        """The beginnings of the digests of all that was examined, in no order; twice, what was so twice."""
        names = [file.name for file in self._made("examinations").iterdir()]
        return [name.split("-")[1] for name in names if name != "killed"]

    def __call__(self) -> Examiner:
        (self._made("loads") / str(os.getpid())).touch()
        return FakeExaminer(self._made("examinations"))

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return self.folder / name


@dataclass(frozen=True)
class FailingLoad:
    """Has no bundle to open."""

    def __call__(self) -> Examiner:
        raise BundleError("There is no bundle here.")


def scan_folder(
    folder: Path, pool: LocalPool | ClusterPool, journal: Path, watch: Watch = lambda *_: None
) -> list[Row]:
    """Scan a folder with a pool, and return what the journal then says."""

    async def work() -> list[Row]:
        with Journal.open(journal, {}) as opened:
            async with pool:
                await scan(find([str(folder)], (), Skipped()), pool, opened, watch=watch)
            return list(opened.rows())

    return asyncio.run(work())


def scan_here(load: LoggedLoad, folder: Path, journal: Path) -> list[Row]:
    """Scan a folder with one process."""
    return scan_folder(folder, LocalPool(load, workers=1, largest=LARGEST), journal)
