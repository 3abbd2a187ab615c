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
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tamperscope._extra import require
from tamperscope.errors import MissingExtraError, ScanError, UnreadableError
from tamperscope.images import IMAGE_SUFFIXES, RECOGNISED_FROM, is_image

_MOST_SUFFIXES = 1000
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A file that may be an image."""

    path: str
    """The path or URL, in the form that the caller used."""
    expected: bool
    """Whether name, content or the caller say that it is an image. Other files may not be images."""


@dataclass
class Skipped:
    """The files that were passed over: excluded, or not images."""

    watch: Callable[[str], object] | None = None
    """Called with the path of each that is not an image."""
    count: int = 0
    by_suffix: Counter[str] = field(default_factory=Counter)
    """How many are not images, by suffix. Suffixes beyond the first 1000 count as `other`."""

    def add_excluded(self) -> None:
        """Count a file that the caller left out."""
        self.count += 1

    def add_other(self, path: str) -> None:
        """Count a file that is not an image."""
        self.count += 1
        suffix = _suffix(path) or "no suffix"
        known = suffix in self.by_suffix or len(self.by_suffix) < _MOST_SUFFIXES
        self.by_suffix[suffix if known else "other"] += 1
        if self.watch:
            self.watch(path)


@dataclass(frozen=True)
class Exclusion:
    """Files and folders that are left out of the scan."""

    patterns: tuple[str, ...] = ()
    """Shell patterns that match a name, or the full path or URL."""
    folders: tuple[str, ...] = ()
    """Folders on this machine, by name or path, that the scan itself writes into."""

    def covers(self, path: str) -> bool:
        """Return whether a file or folder is left out; a folder is left out with everything below it."""
        if is_url(path):
            whole, patterns = path, self.patterns
        else:
            whole, patterns = _with_slashes(path), tuple(map(_with_slashes, self.patterns))
        name = whole.rstrip("/").rpartition("/")[2]
        if any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns for text in (name, whole)):
            return True
        return any(os.path.abspath(path) == os.path.abspath(folder) for folder in self.folders)  # noqa: PTH100


_NOTHING = Exclusion()


def _with_slashes(path: str) -> str:
    """Return a path or pattern of this machine with slashes between its parts, whatever the system."""
    return path.replace(os.sep, "/")


def find(
    sources: Iterable[str], names: Iterable[str], skipped: Skipped, exclusion: Exclusion = _NOTHING
) -> Iterator[Found]:
    """Yield the files that may be images, in no particular order; a file may appear twice.

    `sources` are files, folders (searched recursively), patterns such as `photos/**/*.jpg`, and URLs of all
    three. `names` are single files. A named file that does not exist is yielded too, and so is a folder that
    cannot be listed: reading it raises the reason. Files that are passed over are counted in `skipped`: on
    this machine those that neither their name nor their first bytes announce as an image, in a store those
    with the suffix of another file type.

    Raises `ScanError` when a store cannot be listed and `MissingExtraError` when its package is missing.
    """
    for found in _everything(sources, names, skipped, exclusion):
        if exclusion.covers(found.path):
            skipped.add_excluded()
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
                skipped.add_excluded()
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
            yield from _judged_by_name(store.unstrip_protocol(path), skipped)
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
    """Yield a file of this machine if its name or its first bytes are those of an image."""
    suffix = _suffix(path)
    if suffix in IMAGE_SUFFIXES:
        yield Found(path, expected=True)
        return
    start = _start(path)
    if start is not None and is_image(start):
        yield Found(path, expected=True)
    elif start is None and not suffix:
        yield Found(path, expected=False)
    else:
        skipped.add_other(path)


def _judged_by_name(url: str, skipped: Skipped) -> Iterator[Found]:
    """Yield an object of a store if its name may be an image's. Its first bytes would cost a request."""
    suffix = _suffix(url)
    if suffix in IMAGE_SUFFIXES or not suffix:
        yield Found(url, expected=bool(suffix))
    else:
        skipped.add_other(url)


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122


def _start(path: str) -> bytes | None:
    """Return the first bytes of a file; None if they cannot be read."""
    try:
        # Opening a pipe could block forever.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return None
        with Path(path).open("rb") as file:
            return file.read(RECOGNISED_FROM)
    except (OSError, ValueError):
        return None


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
    except Exception as error:
        # Some stores are connected to right here, with exceptions of their own.
        raise ScanError(f"{url} cannot be reached: {_reason(error)}") from None
    return store, inside


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "There is no such file."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.rstrip('.').capitalize()}."
    # The message of a vendor's package may quote addresses and credentials. The class is enough.
    return f"It cannot be read ({type(error).__name__})."
