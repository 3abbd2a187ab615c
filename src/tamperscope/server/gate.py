"""The bounded queue in front of inference."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tamperscope.errors import BusyError


class Gate:
    """Admits `workers` threads, lets `queue` more wait, and rejects all others.

    An immediate rejection is better than an unbounded queue: the client can try another server, and memory
    stays bounded by `workers + queue` uploads. A thread that has waited `timeout` seconds is rejected as
    well, because most front ends have given up by then.

    Low-priority callers are never rejected, do not count towards the queue, and are admitted only when no one
    else is waiting. While one of them holds a slot, others wait up to `longest` seconds more, so they never
    cause a 503. A thread inside at low priority may enter again without waiting.
    """

    def __init__(self, workers: int, queue: int, timeout: float, longest: float = 0.0) -> None:
        self._workers = workers
        self._capacity = workers + queue
        self._timeout = timeout
        self._longest = longest
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._quiet = threading.Condition(self._lock)
        self._empty = threading.Condition(self._lock)
        self._waiting = 0
        self._inside = 0
        self._low_priority_inside = 0
        self._of_thread = threading.local()

    @contextmanager
    def enter(self, *, low_priority: bool = False) -> Iterator[float]:
        """Wait for a slot and hold it; yields the seconds spent waiting.

        Raises `BusyError` when the queue is full or the wait is too long, unless `low_priority`.
        """
        if getattr(self._of_thread, "low_priority", False):
            yield 0.0
            return
        begun = time.monotonic()
        with self._lock:
            if low_priority:
                self._quiet.wait_for(lambda: self._free() and not self._waiting)
            else:
                self._queue_up()
            self._inside += 1
            self._low_priority_inside += low_priority
        self._of_thread.low_priority = low_priority
        try:
            yield time.monotonic() - begun
        finally:
            self._of_thread.low_priority = False
            with self._lock:
                self._inside -= 1
                self._low_priority_inside -= low_priority
                self._call_next()
                if not self._inside:
                    self._empty.notify_all()

    def empty_within(self, seconds: float) -> bool:
        """Return whether no caller holds a slot, at the latest after that time."""
        with self._lock:
            return self._empty.wait_for(lambda: not self._inside, seconds)

    @property
    def waiting(self) -> int:
        """How many callers wait for a slot, not counting low-priority ones."""
        return self._waiting

    @property
    def inside(self) -> int:
        """How many callers hold a slot."""
        return self._inside

    def _queue_up(self) -> None:
        if self._waiting + self._inside - self._low_priority_inside >= self._capacity:
            raise BusyError("The server is at its limit of images; try again in a few seconds.")
        self._waiting += 1
        try:
            admitted = self._turn.wait_for(self._free, self._timeout)
            if not admitted and self._low_priority_inside:
                admitted = self._turn.wait_for(self._free, self._longest)
            if not admitted:
                raise BusyError(
                    f"No worker became free within {self._timeout:g} seconds; try again in a few seconds."
                )
        finally:
            self._waiting -= 1
            # No one is queued now, so a low-priority caller may take another free slot.
            if not self._waiting:
                self._quiet.notify()

    def _free(self) -> bool:
        return self._inside < self._workers

    def _call_next(self) -> None:
        (self._turn if self._waiting else self._quiet).notify()
