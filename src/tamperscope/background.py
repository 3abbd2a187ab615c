"""Calls in threads that never hold up the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_Returned = TypeVar("_Returned")


def begin(call: Callable[[], _Returned], name: str) -> Future[_Returned]:
    """Call a function in a thread of its own, and return what will hold its result or its exception.

    At its end, the interpreter waits for the threads of `concurrent.futures.ThreadPoolExecutor`, even if they
    are stuck in native code or in the network. This thread is a daemon.
    """
    outcome: Future[_Returned] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
