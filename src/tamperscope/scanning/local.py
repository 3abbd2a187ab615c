"""A pool of processes on this machine, one thread each.

One image at a time with all cores leaves cores idle wherever a step has one thread: decoding, matching,
measuring. Several images at a time, each with one thread, do not. They are processes because a decoder that
crashes on a hostile file must cost that file, not the scan.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Self, TypeVar

from tamperscope.errors import ScanError, TamperscopeError
from tamperscope.scanning.files import read
from tamperscope.scanning.finding import Examiner, Finding, Outcome
from tamperscope.scanning.scan import Fetched

# Beyond what is being examined, as many are read ahead.
_AHEAD = 2
_PATIENCE_SECONDS = 600.0
_ENDED = ConnectionError, EOFError

_T = TypeVar("_T")


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalPool:
    """Reads in threads, examines in `workers` processes; `load` makes the examiner of each."""

    def __init__(self, load: Callable[[], Examiner], workers: int, largest: int) -> None:
        """`load` can be pickled; of a file, `largest` bytes and one are read."""
        self._load = load
        self._workers = workers
        self._largest = largest
        self._processes: list[_Process] = []
        self._free: asyncio.Queue[_Process] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(self.capacity, thread_name_prefix="tamperscope-scan")

    @property
    def capacity(self) -> int:
        """How many images may be in work at the same time."""
        return self._workers * _AHEAD

    async def __aenter__(self) -> Self:
        """Start the processes; raises what `load` raises."""
        try:
            self._processes = [_Process(self._load) for _ in range(self._workers)]
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

    async def examine(self, fetched: Fetched[bytes]) -> Outcome:
        """Return what there is to say about a content; for one that ends its process, that it did."""
        process = await self._free.get()
        try:
            return await self._in_thread(lambda: process.examine(fetched.content))
        except _ENDED:
            await self._in_thread(process.restart)
            return Outcome(Finding.failed("The analysis ended its process."))
        except TimeoutError:
            await self._in_thread(process.restart)
            return Outcome(Finding.failed(f"The analysis took more than {_PATIENCE_SECONDS:.0f} seconds."))
        finally:
            self._free.put_nowait(process)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Process:
    """A process with one examiner, and the pipe to it."""

    # Its threads and the networks' runtime would not survive a fork.
    _context = multiprocessing.get_context("spawn")

    def __init__(self, load: Callable[[], Examiner]) -> None:
        self._load = load
        self._start()

    def wait_until_ready(self) -> None:
        try:
            problem = self._connection.recv()
        except _ENDED:
            problem = ScanError("A process of the scan ended before it was ready.")
        if problem is not None:
            raise problem

    def examine(self, data: bytes) -> Outcome:
        self._connection.send_bytes(data)
        if not self._connection.poll(_PATIENCE_SECONDS):
            raise TimeoutError
        outcome: Outcome = self._connection.recv()
        return outcome

    def restart(self) -> None:
        self.kill()
        self._start()
        self.wait_until_ready()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _start(self) -> None:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=_serve, args=(theirs, self._load), name="tamperscope-scan", daemon=True
        )
        self._process.start()
        theirs.close()


def _serve(connection: Connection, load: Callable[[], Examiner]) -> None:
    # Ctrl-C reaches the whole group, but when to end is the scan's decision: it closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        examiner = load()
    except TamperscopeError as error:
        connection.send(error)
        return
    with suppress(*_ENDED):
        connection.send(None)
        while True:
            connection.send(examiner.examine(connection.recv_bytes()))
