"""Compiled models on disk, so that only the first start on a machine pays for compiling.

    cache = CompiledModels(folder)
    blob = cache.read(key)
    cache.write(key, blob)

A file holds the SHA-256 of OpenVINO's blob, then the blob. Files are written under a temporary name and
renamed, so concurrent starts see a complete file or none. A file that another account could have written is
not read, because it would decide what the networks compute. A failing cache costs only time: every problem
with it is logged and never raised.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

_MOST_FILES = 4
_DIGEST_BYTES = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


class CompiledModels:
    """The compiled models in one folder, which is created if missing. Only the few last used are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def key(**what_it_depends_on: Any) -> str:
        """Return the name of a compiled model, the same for equal arguments, which must be JSON values."""
        text = json.dumps(what_it_depends_on, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def read(self, key: str) -> bytes | None:
        """Return the blob that was written under `key`; None if nothing was, or if it was damaged."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                if not _is_own(file.fileno()):
                    _log.warning(
                        "A compiled model in %s belongs to another account, or others may write to it; it is "
                        "compiled again.",
                        self._folder,
                    )
                    return None
                digest, blob = file.read(_DIGEST_BYTES), file.read()
            # The least recently used files are deleted first.
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn("read", error)
            return None
        if hashlib.sha256(blob).digest() != digest:
            _log.warning("A compiled model in %s was damaged; it is compiled again.", self._folder)
            return None
        return blob

    def write(self, key: str, blob: bytes) -> None:
        """Store `blob` under `key`, replacing an earlier one."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
            try:
                with open(descriptor, "wb") as file:  # noqa: PTH123
                    file.write(hashlib.sha256(blob).digest())
                    file.write(blob)
                Path(name).replace(self._path(key))
            except BaseException:
                Path(name).unlink()
                raise
            self._forget_oldest()
        except OSError as error:
            self._warn("written", error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.compiled"

    def _forget_oldest(self) -> None:
        for path in sorted(self._folder.glob("*.compiled"), key=_last_used, reverse=True)[_MOST_FILES:]:
            path.unlink(missing_ok=True)

    def _warn(self, verb: str, error: OSError) -> None:
        _log.warning(
            "The cache of compiled models %s cannot be %s: %s. Every start compiles the model again.",
            self._folder,
            verb,
            (error.strerror or "unknown reason").lower(),
        )


def _last_used(path: Path) -> int:
    """Return when a file was last used, in nanoseconds; 0 if another start has deleted it since."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _is_own(descriptor: int) -> bool:
    if not hasattr(os, "geteuid"):  # Windows
        return True
    status = os.fstat(descriptor)
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
