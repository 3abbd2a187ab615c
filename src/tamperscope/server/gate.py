"""The bounded queue in front of inference."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tamperscope.errors import BusyError


class Gate:
    """Lets `workers` threads in, makes `queue` more of them wait, and turns everybody else away.

    A refusal at once is kinder than a queue without end: a client that hears 503 can go elsewhere, and
    memory stays bounded by `workers + queue` uploads.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self._admitted = threading.Semaphore(workers + queue)
        self._working = threading.Semaphore(workers)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Wait for a worker's place and hold it; raises `BusyError` when the queue is full."""
        if not self._admitted.acquire(blocking=False):
            raise BusyError("The server is working on as many images as it can; try again in a few seconds.")
        try:
            with self._working:
                yield
        finally:
            self._admitted.release()
