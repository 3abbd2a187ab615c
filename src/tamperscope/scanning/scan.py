"""Scan: list the files, read them, examine each distinct content once, and record the results.

The pool decides where files are read and examined.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from tamperscope import background
from tamperscope.errors import ScanError, UnreadableError
from tamperscope.scanning.examination import Examined
from tamperscope.scanning.files import Found
from tamperscope.scanning.journal import Journal, Pending

_BATCH = 1000

_Content = TypeVar("_Content")


@dataclass(frozen=True)
class Fetched(Generic[_Content]):
    """A file's content, or the pool's reference to it."""

    sha256: str
    content: _Content


class Pool(Protocol[_Content]):
    """Reads and examines files outside the event loop, several at a time."""

    @property
    def capacity(self) -> int:
        """The number of images that may be in progress at once.

        It keeps every worker busy, and is small enough for the images to fit in memory.
        """
        ...

    async def fetch(self, path: str) -> Fetched[_Content]:
        """Read a file; raises `UnreadableError`."""
        ...

    async def examine(self, fetched: Fetched[_Content]) -> Examined:
        """Return the result for a file's content; raises `ScanError` when every other file would fail too."""
        ...


Watch = Callable[[int, int, bool], None]
"""Receives the number of finished files, the number of files found so far, and whether all are listed."""


async def scan(
    found: Iterator[Found],
    pool: Pool[_Content],
    journal: Journal,
    *,
    masks: Path | None = None,
    watch: Watch = lambda *_: None,
) -> None:
    """Examine every file in `found` that has no result in `journal` yet, each distinct content once.

    Masks are written into the folder `masks`, as `<sha256>.png`. Raises `ScanError`, `BundleError` or
    `MissingExtraError` when the scan cannot continue; the results so far stay in the journal.
    """
    try:
        await _Scan(pool, journal, masks, watch).run(found)
    except ExceptionGroup as errors:
        # Each of them ends the scan. The first one gives the reason.
        error = _first(errors)
        if isinstance(error, sqlite3.Error):  # for example, the disk is full
            error = ScanError(
                f"{journal.path} cannot be written: {error}. Run the same command again to continue."
            )
        raise error from None


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


class _Scan(Generic[_Content]):
    def __init__(self, pool: Pool[_Content], journal: Journal, masks: Path | None, watch: Watch) -> None:
        self._pool = pool
        self._journal = journal
        self._masks = masks
        self._watch = watch
        self._done, self._total = journal.counts()
        self._all_listed = False
        self._more = asyncio.Event()
        # Contents in progress: a second file of equal content waits for the first. A lock disappears when no
        # task holds it.
        self._in_progress: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, found: Iterator[Found]) -> None:
        slots = asyncio.Semaphore(self._pool.capacity)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._list(found))
            async for image in self._pending():
                await slots.acquire()
                task = tasks.create_task(self._examine(image))
                task.add_done_callback(lambda _: slots.release())

    async def _list(self, found: Iterator[Found]) -> None:
        def next_batch() -> list[Found]:
            return list(itertools.islice(found, _BATCH))

        # Not asyncio.to_thread: a scan that is stopped would wait for the next name on a silent stdin.
        while batch := await asyncio.wrap_future(background.begin(next_batch, "tamperscope-list")):
            self._total += self._journal.add(batch)
            self._report_progress()
            self._more.set()
        self._all_listed = True
        self._report_progress()
        self._more.set()

    async def _pending(self) -> AsyncIterator[Pending]:
        last = 0
        while True:
            self._more.clear()
            all_listed = self._all_listed
            images = self._journal.pending(after=last, limit=_BATCH)
            for image in images:
                yield image
                last = image.id
            if images:
                continue
            if all_listed:
                return
            await self._more.wait()

    async def _examine(self, image: Pending) -> None:
        try:
            fetched = await self._pool.fetch(image.path)
        except UnreadableError as error:
            self._journal.fail_image(image, str(error))
        else:
            lock = self._in_progress.setdefault(fetched.sha256, asyncio.Lock())
            async with lock:
                if not self._journal.knows(fetched.sha256):
                    examined = await self._pool.examine(fetched)
                    self._save_mask(fetched.sha256, examined.mask)
                    self._journal.add_row(fetched.sha256, examined.row)
            self._journal.close_image(image, fetched.sha256)
        self._done += 1
        self._report_progress()

    def _save_mask(self, sha256: str, mask: bytes | None) -> None:
        if self._masks is None or mask is None:
            return
        part = self._masks / f".{sha256}.part"
        try:
            part.write_bytes(mask)
            part.replace(self._masks / f"{sha256}.png")
        except OSError as error:
            raise ScanError(f"{self._masks} cannot be written: {error.strerror}.") from None

    def _report_progress(self) -> None:
        self._watch(self._done, self._total, self._all_listed)
