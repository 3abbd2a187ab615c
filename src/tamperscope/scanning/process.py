"""An examiner in a process of its own.

A decoder that crashes or hangs on a hostile file costs that file, not the scan: on this machine and on every
machine of a cluster alike, so that both say the same of such a file.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from tamperscope.errors import ScanError, TamperscopeError
from tamperscope.scanning.examination import Examined, Examiner, ScanRow

_PATIENCE_SECONDS = 600.0
_ENDED = ConnectionError, EOFError


class ExaminerProcess:
    """A process with one examiner, and the pipe to it; for one thread at a time, except for `kill`."""

    # The runtime's threads would not survive a fork.
    _context = multiprocessing.get_context("spawn")

    def __init__(self, load: Callable[[], Examiner]) -> None:
        """Start it; `load` can be pickled and makes the examiner there."""
        self._load = load
        self._killed = False
        self._start()

    def wait_until_ready(self) -> None:
        """Return once the examiner is there; raises what `load` raised, and `ScanError`."""
        try:
            problem = self._connection.recv()
        except _ENDED:
            problem = ScanError("A process of the scan ended before it was ready.")
        if problem is not None:
            raise problem

    def examine(self, data: bytes) -> Examined:
        """Return what there is to say about a content; of one that ends the process, that it did.

        Raises what `wait_until_ready` does, where the process does not come back.
        """
        try:
            self._connection.send_bytes(data)
            if self._connection.poll(_PATIENCE_SECONDS):
                examined: Examined = self._connection.recv()
                return examined
            reason = f"The analysis took more than {_PATIENCE_SECONDS:.0f} seconds."
        except _ENDED:
            reason = "The analysis ended its process."
        if self._killed:
            raise ScanError("The scan was ended.")
        self._end()
        self._start()
        self.wait_until_ready()
        return Examined(ScanRow.failed(reason))

    def kill(self) -> None:
        """End it for good, whatever it is doing."""
        self._killed = True
        self._end()

    def _end(self) -> None:
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
