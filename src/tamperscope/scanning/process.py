"""Run an examiner in its own process.

If a decoder crashes or hangs on a hostile file, the scan loses that file and continues. Pools on this machine
and actors of a cluster both run examiners in this way, so such a file gets the same row everywhere.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from tamperscope.errors import ScanError, TamperscopeError
from tamperscope.scanning.examination import Examined, Examiner, ScanRow

_TIMEOUT_SECONDS = 600.0
_ENDED = ConnectionError, EOFError


class ExaminerProcess:
    """A process with one examiner, and the pipe to it.

    Only one thread at a time may use it. `kill` is the exception: any thread may call it at any time.
    """

    # The inference runtime's threads would not survive a fork.
    _context = multiprocessing.get_context("spawn")

    def __init__(self, load: Callable[[], Examiner]) -> None:
        """Start the process. `load` must be picklable; the process calls it to open the examiner."""
        self._load = load
        self._killed = False
        self._start()

    def wait_until_ready(self) -> None:
        """Wait until the examiner is open.

        Raises what `load` raised, and `ScanError` when the process ended before it was ready.
        """
        try:
            problem = self._connection.recv()
        except _ENDED:
            problem = ScanError("A scan process ended before it was ready.")
        if problem is not None:
            raise problem

    def examine(self, data: bytes) -> Examined:
        """Return the result for a file's content.

        If the content crashes or hangs the process, the row says so, and the process is started again. Raises
        what `wait_until_ready` raises when the restart fails, and `ScanError` after `kill`.
        """
        try:
            self._connection.send_bytes(data)
            if self._connection.poll(_TIMEOUT_SECONDS):
                examined: Examined = self._connection.recv()
                return examined
            reason = f"The analysis took more than {_TIMEOUT_SECONDS:.0f} seconds."
        except _ENDED:
            reason = "The analysis process ended unexpectedly."
        if self._killed:
            raise ScanError("The scan was stopped.")
        self._end()
        self._start()
        self.wait_until_ready()
        return Examined(ScanRow.failed(reason))

    def kill(self) -> None:
        """End the process for good, even in the middle of an examination."""
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
    # Ctrl-C reaches the whole process group, but the scan decides when to end: it closes the pipe.
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
