"""A pool of processes on this machine, one thread each.

Analysing one image at a time on all cores leaves cores idle in every single-threaded step: decoding,
matching, measuring. Analysing several images at a time, each with one thread, does not.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from tamperscope.scanning.examination import Examined, Examiner
from tamperscope.scanning.files import read
from tamperscope.scanning.process import ExaminerProcess
from tamperscope.scanning.scan import Fetched

# For each image that is being examined, another one is read ahead.
_IMAGES_PER_WORKER = 2

_T = TypeVar("_T")


class LocalPool:
    """Reads files in threads, and examines them in `workers` processes."""

    def __init__(self, load: Callable[[], Examiner], workers: int, largest: int) -> None:
        """Create the pool; entering it starts the processes.

        `load` must be picklable; each process calls it to open its examiner. At most `largest` + 1 bytes of a
        file are read.
        """
        self._load = load
        self._workers = workers
        self._largest = largest
        self._processes: list[ExaminerProcess] = []
        self._free: asyncio.Queue[ExaminerProcess] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(self.capacity, thread_name_prefix="tamperscope-scan")

    @property
    def capacity(self) -> int:
        """The number of images that may be in progress at once."""
        return self._workers * _IMAGES_PER_WORKER

    async def __aenter__(self) -> Self:
        """Start the processes, and wait until they are ready; raises what `load` raises."""
        try:
            for _ in range(self._workers):
                self._processes.append(ExaminerProcess(self._load))
            for process in self._processes:
                await self._in_thread(process.wait_until_ready)
                self._free.put_nowait(process)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)

    async def fetch(self, path: str) -> Fetched[bytes]:
        """Read a file; raises `UnreadableError`."""
        data = await self._in_thread(lambda: read(path, self._largest))
        return Fetched(await self._in_thread(lambda: hashlib.sha256(data).hexdigest()), data)

    async def examine(self, fetched: Fetched[bytes]) -> Examined:
        """Return the result for a file's content; see `ExaminerProcess.examine`."""
        process = await self._free.get()
        try:
            return await self._in_thread(lambda: process.examine(fetched.content))
        finally:
            self._free.put_nowait(process)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
