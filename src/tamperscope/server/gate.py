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

    Who is patient is never turned away, takes no place in the queue, and gets in only while nobody else
    waits: nobody hears 503 because of them. A thread that is inside patiently may enter again, at once.
    """

    def __init__(self, workers: int, queue: int, timeout: float) -> None:
        self._workers = workers
        self._places = workers + queue
        self._timeout = timeout
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._quiet = threading.Condition(self._lock)
        self._waiting = 0
        self._inside = 0
        self._patient_inside = 0
        self._of_thread = threading.local()

    @contextmanager
    def enter(self, *, patient: bool = False) -> Iterator[float]:
        """Wait for a worker's place and hold it; gives the seconds that took.

        Raises `BusyError` for a full queue and for too long a wait, unless `patient`.
        """
        if getattr(self._of_thread, "patient", False):
            yield 0.0
            return
        begun = time.monotonic()
        with self._lock:
            if patient:
                self._quiet.wait_for(lambda: self._free() and not self._waiting)
            else:
                self._queue_up()
            self._inside += 1
            self._patient_inside += patient
        self._of_thread.patient = patient
        try:
            yield time.monotonic() - begun
        finally:
            self._of_thread.patient = False
            with self._lock:
                self._inside -= 1
                self._patient_inside -= patient
                self._call_next()

    @property
    def waiting(self) -> int:
        """How many wait for a worker's place, without the patient."""
        return self._waiting

    @property
    def inside(self) -> int:
        """How many hold a worker's place."""
        return self._inside

    def _queue_up(self) -> None:
        if self._waiting + self._inside - self._patient_inside >= self._places:
            raise BusyError("The server is working on as many images as it can; try again in a few seconds.")
        self._waiting += 1
        try:
            if not self._turn.wait_for(self._free, self._timeout):
                raise BusyError(
                    f"No worker became free within {self._timeout:g} seconds; try again in a few seconds."
                )
        finally:
            self._waiting -= 1
            # Whoever had to wait for quiet may find it now, in a place beside this one.
            if not self._waiting:
                self._quiet.notify()

    def _free(self) -> bool:
        return self._inside < self._workers

    def _call_next(self) -> None:
        (self._turn if self._waiting else self._quiet).notify()
