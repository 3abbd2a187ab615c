"""Calls in threads that never hold up the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

_Returned = TypeVar("_Returned")


def begin(call: Callable[[], _Returned], name: str) -> Future[_Returned]:
    """Call a function in a thread of its own, and return what will hold its result or its exception.

    At its end, the interpreter waits for the threads of `concurrent.futures.ThreadPoolExecutor`, even if they
    are stuck in native code or in the network. This thread is a daemon. It sees the context variables of its
    caller.
    """
    outcome: Future[_Returned] = Future()
    context = copy_context()

    def run() -> None:
        try:
            outcome.set_result(context.run(call))
        except BaseException as error:
            # Without this frame, which would tie the exception to the outcome that holds it.
            outcome.set_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
