"""Where a scan's images come from: files, folders, patterns, lists, and the URLs that fsspec reads.

Nothing here holds more than one folder's names in memory.
"""

from __future__ import annotations

import glob
import os
import re
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


def find(sources: Iterable[str], names: Iterable[str], skipped: Skipped) -> Iterator[Found]:
    """Yield what may be an image, in no particular order; the same file may come twice.

    `sources` are files, folders at any depth, patterns such as `photos/**/*.jpg`, and URLs of the same.
    `names` are files, one by one. What is named but not there is yielded as well: reading it says why.

    Raises `ScanError` when a store cannot be listed and `MissingExtraError` when its package is missing.
    """
    for source in sources:
        yield from _in_store(source, skipped) if is_url(source) else _on_disk(source, skipped)
    for name in names:
        yield Found(name, expected=True)


def read(path: str, limit: int) -> bytes:
    """Return the content of a file, or its first `limit + 1` bytes.

    Raises `UnreadableError` with the reason, and `MissingExtraError`.
    """
    try:
        if not is_url(path):
            with Path(path).open("rb") as file:
                return file.read(limit + 1)
        store, inside = _store(path)
        with store.open(inside, "rb") as file:
            content: bytes = file.read(limit + 1)
            return content
    except (MissingExtraError, ScanError):
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


def _on_disk(source: str, skipped: Skipped) -> Iterator[Found]:
    if Path(source).is_dir():
        yield from _below(source, skipped)
    elif glob.has_magic(source) and not Path(source).exists():
        for match in glob.iglob(source, recursive=True):  # noqa: PTH207
            if not Path(match).is_dir():
                yield from _judged(match, skipped)
    else:
        yield Found(source, expected=True)


def _below(folder: str, skipped: Skipped) -> Iterator[Found]:
    def fail(error: OSError) -> None:
        raise ScanError(f"{error.filename} cannot be listed: {_reason(error)}")

    for parent, _, names in os.walk(folder, onerror=fail):
        for name in names:
            yield from _judged(os.path.join(parent, name), skipped)  # noqa: PTH118


def _in_store(url: str, skipped: Skipped) -> Iterator[Found]:
    store, inside = _store(url)
    try:
        if glob.has_magic(inside):
            paths: Iterable[str] = store.glob(inside)
        elif store.isdir(inside):
            paths = (f"{parent}/{name}" for parent, _, names in store.walk(inside) for name in names)
        else:
            yield Found(url, expected=True)
            return
        for path in paths:
            yield from _judged(store.unstrip_protocol(path), skipped)
    except Exception as error:
        raise ScanError(f"{url} cannot be listed: {_reason(error)}") from None


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
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.rstrip('.').capitalize()}."
    # What a vendor's package says may quote addresses and credentials; its class says enough.
    return f"It cannot be read ({type(error).__name__})."
