"""Calls in threads that never hold up the end of the process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

_Returned = TypeVar("_Returned")

_MOST_IDLE = 16


def begin(call: Callable[[], _Returned], name: str) -> Future[_Returned]:
    """Call a function in a thread, and return what will hold its result or its exception.

    At its end, the interpreter waits for the threads of `concurrent.futures.ThreadPoolExecutor`, even if they
    are stuck in native code or in the network. These threads are daemons. A call never waits for another: if
    no thread is idle, it gets a new one. It sees the context variables of its caller. It cannot be cancelled.
    """
    outcome: Future[_Returned] = Future()
    # The caller may cancel the waiting. A cancelled outcome could not be told.
    outcome.set_running_or_notify_cancel()
    context = copy_context()

    def run() -> Callable[[], None]:
        try:
            result = context.run(call)
        except BaseException as error:
            # Without this frame, which would tie the exception to the outcome that holds it.
            raised = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
            return lambda: outcome.set_exception(raised)
        return lambda: outcome.set_result(result)

    try:
        thread = _idle.pop()
    except IndexError:
        thread = _Thread()
        thread.start()
    thread.give(run, name)
    return outcome


class _Thread(threading.Thread):
    """A thread that makes one call after the other.

    A new thread for each call would leak memory: OpenCV keeps 900 bytes for each thread that has used it.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._calls: SimpleQueue[tuple[Callable[[], Callable[[], None]], str]] = SimpleQueue()

    def give(self, run: Callable[[], Callable[[], None]], name: str) -> None:
        """Make a call, and then what it returns, which tells its outcome."""
        self._calls.put((run, name))

    def run(self) -> None:
        while True:
            run, self.name = self._calls.get()
            tell = run()
            stays = len(_idle) < _MOST_IDLE
            if stays:
                # Before the outcome is known, so that the caller's next call can have this thread.
                _idle.append(self)
            tell()
            if not stays:
                return
            # An idle thread holds no image.
            del run, tell


_idle: list[_Thread] = []
"""Appending and popping are atomic."""
if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork.
    os.register_at_fork(after_in_child=_idle.clear)
