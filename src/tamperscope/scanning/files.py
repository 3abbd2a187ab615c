"""Find and read a scan's images: files, folders, patterns, lists, and URLs that fsspec can read.

At most one folder's names are in memory at a time.

A file name on disk is bytes. If they are not UTF-8, Python's `surrogateescape` carries them through the scan,
and the results show the name as `printable` returns it.
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
    """The path or URL, in the form that the caller used."""
    expected: bool
    """Whether the name has an image suffix or the caller named the file. Other files may not be images."""


@dataclass
class Skipped:
    """The number of files that were skipped: excluded, or with the suffix of another file type."""

    count: int = 0


@dataclass(frozen=True)
class Exclusion:
    """Files and folders that are left out of the scan."""

    patterns: tuple[str, ...] = ()
    """Shell patterns that match a name, or the full path or URL."""
    folders: tuple[str, ...] = ()
    """Folders on this machine, by name or path, that the scan itself writes into."""

    def covers(self, path: str) -> bool:
        """Return whether a file or folder is left out; a folder is left out with everything below it."""
        name = path.rstrip("/").rpartition("/")[2]
        if any(fnmatch.fnmatchcase(text, pattern) for pattern in self.patterns for text in (name, path)):
            return True
        return any(os.path.abspath(path) == os.path.abspath(folder) for folder in self.folders)  # noqa: PTH100


_NOTHING = Exclusion()


def find(
    sources: Iterable[str], names: Iterable[str], skipped: Skipped, exclusion: Exclusion = _NOTHING
) -> Iterator[Found]:
    """Yield the files that may be images, in no particular order; a file may appear twice.

    `sources` are files, folders (searched recursively), patterns such as `photos/**/*.jpg`, and URLs of all
    three. `names` are single files. A named file that does not exist is yielded too, and so is a folder that
    cannot be listed: reading it raises the reason. Skipped files are counted in `skipped`.

    Raises `ScanError` when a store cannot be listed and `MissingExtraError` when its package is missing.
    """
    for found in _everything(sources, names, skipped, exclusion):
        if exclusion.covers(found.path):
            skipped.count += 1
        else:
            yield found


def read(path: str, limit: int) -> bytes:
    """Return the content of a file, or its first `limit + 1` bytes.

    Raises `UnreadableError` with the reason, `ScanError` when the URL's scheme is not supported, and
    `MissingExtraError` when the package for it is missing.
    """
    try:
        if not is_url(path):
            # Opening a pipe could block forever.
            if not stat.S_ISREG(Path(path).stat().st_mode):
                raise UnreadableError("This is not a file.")
            # Some files of /proc are regular and block too.
            with open(path, "rb", opener=_open_without_waiting) as file:
                content = file.read(limit + 1)
            if content is None:
                raise UnreadableError("This is not a file: reading it would wait for ever.")
            return content
        return _read_stored(*_store(path), limit)
    except (MissingExtraError, ScanError, UnreadableError):
        raise
    except ValueError:
        # For example, a null byte in the name.
        raise UnreadableError("This is not a valid file name.") from None
    except Exception as error:
        # The packages behind fsspec raise exceptions of their own.
        raise UnreadableError(_reason(error)) from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def is_url(path: str) -> bool:
    """Return whether `path` is a URL, which fsspec reads."""
    return _URL.match(path) is not None


def printable(path: str) -> str:
    """Return a path as valid Unicode text; a byte that is not UTF-8 becomes an escape such as `\\xff`."""
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
        # The walk descends only into the folders that remain in this list.
        folders[:] = [
            name for name in folders if not exclusion.covers(store.unstrip_protocol(f"{parent}/{name}"))
        ]
        # An object can have the same name as its folder; its name here is then empty.
        yield from (f"{parent}/{name}" for name in names if name)


def _read_stored(store: Any, inside: str, limit: int) -> bytes:
    content: bytes
    try:
        # This is one request. Opening the file would cost another one, for its size.
        content = store.cat_file(inside, start=0, end=limit + 1)
    except OSError:
        # For example, an empty object has no byte range to request.
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
    """Return the file system behind a URL, and the path inside it."""
    require("Reading from URLs", ["fsspec"], "cloud")
    import fsspec

    try:
        # Each listing is read once. A cache would hold all listings of a large bucket in memory.
        store, inside = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingExtraError(
            f"Reading from {url.split(':')[0]}:// needs a package that is not installed here: "
            "pip install 'tamperscope[cloud]'."
        ) from error
    except ValueError:
        raise ScanError(f"{url.split(':')[0]}:// URLs are not supported.") from None
    return store, inside


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "There is no such file."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.rstrip('.').capitalize()}."
    # The message of a vendor's package may quote addresses and credentials. The class is enough.
    return f"It cannot be read ({type(error).__name__})."
