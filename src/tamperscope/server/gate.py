"""The bounded queue in front of inference."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tamperscope.errors import BusyError


class Gate:
    """Lets `workers` threads in, makes `queue` more of them wait, and turns everybody else away.

    A refusal at once is kinder than a queue without end: a client that hears 503 can go elsewhere, and
    memory stays bounded by `workers + queue` uploads. Whoever has waited `timeout` seconds is turned away as
    well: behind most front ends nobody is there any more to hear the answer.
    """

    def __init__(self, workers: int, queue: int, timeout: float) -> None:
        self._places = workers + queue
        self._timeout = timeout
        self._working = threading.Semaphore(workers)
        self._lock = threading.Lock()
        self._admitted = 0
        self._inside = 0

    @contextmanager
    def enter(self) -> Iterator[float]:
        """Wait for a worker's place and hold it; gives the seconds that took.

        Raises `BusyError` for a full queue and for too long a wait.
        """
        begun = time.monotonic()
        self._admit()
        try:
            if not self._working.acquire(timeout=self._timeout):
                raise BusyError(
                    f"No worker became free within {self._timeout:g} seconds; try again in a few seconds."
                )
            try:
                self._count_inside(1)
                yield time.monotonic() - begun
            finally:
                self._count_inside(-1)
                self._working.release()
        finally:
            with self._lock:
                self._admitted -= 1

    @property
    def waiting(self) -> int:
        """How many wait for a worker's place."""
        with self._lock:
            return self._admitted - self._inside

    @property
    def inside(self) -> int:
        """How many hold a worker's place."""
        return self._inside

    def _admit(self) -> None:
        with self._lock:
            if self._admitted >= self._places:
                raise BusyError(
                    "The server is working on as many images as it can; try again in a few seconds."
                )
            self._admitted += 1

    def _count_inside(self, change: int) -> None:
        with self._lock:
            self._inside += change
