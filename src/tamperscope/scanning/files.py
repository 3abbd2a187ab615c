"""Where a scan's images come from: files, folders, patterns, lists, and the URLs that fsspec reads.

Nothing here holds more than one folder's names in memory.

A name on disk is bytes. Where they are no UTF-8, Python's `surrogateescape` carries them through the scan,
and `printable` is what results show.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamperscope._extra import require
from tamperscope.errors import MissingExtraError, ScanError, UnreadableError
from tamperscope.images import IMAGE_SUFFIXES

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A file that may be an image."""

    path: str
    """Path or URL, as whoever asked would write it."""
    expected: bool
    """Whether its name ends like an image's, or somebody named it. Others may well be something else."""


@dataclass
class Skipped:
    """How many files were passed over because their names say that they are something else."""

    count: int = 0


@dataclass(frozen=True)
class Exclusion:
    """Files and folders that nobody wants to have examined."""

    patterns: tuple[str, ...] = ()
    """Shell patterns, for a name or for the whole path or URL."""
    folders: tuple[str, ...] = ()
    """Folders on this machine, by name or path: those that the scan itself writes into."""

    def covers(self, path: str) -> bool:
        """Say whether a file or folder is left out; of a folder, that is so for everything below."""
        name = path.rstrip("/").rpartition("/")[2]
        if any(fnmatch.fnmatchcase(text, pattern) for pattern in self.patterns for text in (name, path)):
            return True
        return any(os.path.abspath(path) == os.path.abspath(folder) for folder in self.folders)  # noqa: PTH100


_NOTHING = Exclusion()


def find(
    sources: Iterable[str], names: Iterable[str], skipped: Skipped, exclusion: Exclusion = _NOTHING
) -> Iterator[Found]:
    """Yield what may be an image, in no particular order; the same file may come twice.

    `sources` are files, folders at any depth, patterns such as `photos/**/*.jpg`, and URLs of the same.
    `names` are files, one by one. What is named but not there is yielded as well, and so is a folder that
    cannot be listed: reading it says why.

    Raises `ScanError` when a store cannot be listed and `MissingExtraError` when its package is missing.
    """
    for found in _everything(sources, names, skipped, exclusion):
        if exclusion.covers(found.path):
            skipped.count += 1
        else:
            yield found


def read(path: str, limit: int) -> bytes:
    """Return the content of a file, or its first `limit + 1` bytes.

    Raises `UnreadableError` with the reason, and `MissingExtraError`.
    """
    try:
        if not is_url(path):
            # A pipe would keep whoever opens it waiting for ever.
            if not stat.S_ISREG(Path(path).stat().st_mode):
                raise UnreadableError("This is not a file.")
            with Path(path).open("rb") as file:
                return file.read(limit + 1)
        return _read_stored(*_store(path), limit)
    except (MissingExtraError, ScanError, UnreadableError):
        raise
    except ValueError:
        # A null byte in a name, say.
        raise UnreadableError("This is not the name of a file.") from None
    except Exception as error:
        # The packages behind fsspec raise whatever their vendors do.
        raise UnreadableError(_reason(error)) from None


def is_url(path: str) -> bool:
    """Say whether fsspec is to read it."""
    return _URL.match(path) is not None


def printable(path: str) -> str:
    """Return a path as text that any program takes; bytes that are no UTF-8 become `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _everything(
    sources: Iterable[str], names: Iterable[str], skipped: Skipped, exclusion: Exclusion
) -> Iterator[Found]:
    for source in sources:
        search = _in_store if is_url(source) else _on_disk
        yield from search(source, skipped, exclusion)
    for name in names:
        yield Found(name, expected=True)


def _on_disk(source: str, skipped: Skipped, exclusion: Exclusion) -> Iterator[Found]:
    if Path(source).is_dir():
        yield from _below(source, skipped, exclusion)
    elif glob.has_magic(source) and not Path(source).exists():
        for match in glob.iglob(source, recursive=True):  # noqa: PTH207
            if Path(match).is_dir():
                continue
            if any(exclusion.covers(str(parent)) for parent in Path(match).parents):
                skipped.count += 1
                continue
            yield from _judged(match, skipped)
    else:
        yield Found(source, expected=True)


def _below(folder: str, skipped: Skipped, exclusion: Exclusion) -> Iterator[Found]:
    closed: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not exclusion.covers(os.path.join(parent, name))]  # noqa: PTH118
        for name in names:
            yield from _judged(os.path.join(parent, name), skipped)  # noqa: PTH118
    for error in closed:
        yield Found(os.fsdecode(error.filename), expected=True)


def _in_store(url: str, skipped: Skipped, exclusion: Exclusion) -> Iterator[Found]:
    store, inside = _store(url)
    try:
        if store.isdir(inside):
            paths = _below_in_store(store, inside, exclusion)
        elif glob.has_magic(inside) and not store.exists(inside):
            paths = iter(store.glob(inside))
        else:
            yield Found(url, expected=True)
            return
        for path in paths:
            yield from _judged(store.unstrip_protocol(path), skipped)
    except Exception as error:
        raise ScanError(f"{url} cannot be listed: {_reason(error)}") from None


def _below_in_store(store: Any, inside: str, exclusion: Exclusion) -> Iterator[str]:
    for parent, folders, names in store.walk(inside, on_error="raise"):
        # The walk goes on through what is left of this.
        folders[:] = [
            name for name in folders if not exclusion.covers(store.unstrip_protocol(f"{parent}/{name}"))
        ]
        # An object can have the folder's own name, which is then empty.
        yield from (f"{parent}/{name}" for name in names if name)


def _read_stored(store: Any, inside: str, limit: int) -> bytes:
    content: bytes
    try:
        # One request; opening a file costs another one, which asks for its size.
        content = store.cat_file(inside, start=0, end=limit + 1)
    except OSError:
        # Such as an empty object, which has no part to ask for.
        with store.open(inside, "rb") as file:
            content = file.read(limit + 1)
    return content


def _judged(path: str, skipped: Skipped) -> Iterator[Found]:
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    if suffix in IMAGE_SUFFIXES:
        yield Found(path, expected=True)
    elif not suffix:
        yield Found(path, expected=False)
    else:
        skipped.count += 1


def _store(url: str) -> tuple[Any, str]:
    """Return the file system behind a URL, and the path within."""
    require("Reading from URLs", ["fsspec"], "cloud")
    import fsspec

    try:
        # Listings are read once; kept, those of a large bucket would fill the memory.
        store, inside = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingExtraError(
            f"Reading from {url.split(':')[0]}:// needs a package that is not installed here: "
            "pip install 'tamperscope[cloud]'."
        ) from error
    except ValueError:
        raise ScanError(f"{url.split(':')[0]}:// is no kind of URL that can be read.") from None
    return store, inside


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "There is no such file."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.rstrip('.').capitalize()}."
    # What a vendor's package says may quote addresses and credentials; its class says enough.
    return f"It cannot be read ({type(error).__name__})."
