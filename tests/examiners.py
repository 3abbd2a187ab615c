"""Examiners without networks, which pools open in processes of their own."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fakes import FakeDetector
from tamperscope.errors import BundleError
from tamperscope.scanning.finding import Examination, Examiner, Outcome

POISON = b"ends whoever reads it"


class FakeExaminer(Examiner):
    """Examines with the fake detector; POISON ends its process."""

    def __init__(self) -> None:
        super().__init__(FakeDetector(), Examination(masks=True))

    def examine(self, data: bytes) -> Outcome:
        if data == POISON:
            os._exit(1)
        return super().examine(data)


@dataclass(frozen=True)
class LoggedLoad:
    """Opens a fake examiner, and leaves a file in `folder` each time."""

    folder: Path

    def __call__(self) -> Examiner:
        tempfile.mkstemp(dir=self.folder)
        return FakeExaminer()


@dataclass(frozen=True)
class FailingLoad:
    """Has no bundle to open."""

    def __call__(self) -> Examiner:
        raise BundleError("There is no bundle here.")
