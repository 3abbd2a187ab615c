"""Disk space that is kept free beside an SQLite file: deleting needs some, even on a full disk."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PORTION = bytes(2**20)

_log = logging.getLogger(__name__)


class Reserve:
    """A file of `size` bytes that is removed when its space is needed."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._lock = threading.Lock()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let this thread alone call `release`; fill the reserve again at the end."""
        with self._lock:
            try:
                yield
            finally:
                self.fill()

    def release(self) -> None:
        """Give the space back to the disk."""
        self._path.unlink(missing_ok=True)

    def fill(self) -> None:
        """Take the space if it is not taken; a disk without that much space is only logged."""
        try:
            if self._path.exists() and self._path.stat().st_size == self._size:
                return
            self._take()
        except OSError as error:
            _log.warning(
                "database: no space could be reserved for deletions: %s", (error.strerror or "").lower()
            )
            self._path.unlink(missing_ok=True)

    def _take(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, self._size)
            else:
                # A file that is only made longer takes no space.
                for start in range(0, self._size, len(_PORTION)):
                    file.write(_PORTION[: self._size - start])
