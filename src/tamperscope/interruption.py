"""An early end for a long computation, which asks between its steps whether it should go on.

    with checked_by(check):    # what `check` raises ends the computation
        compute()              # calls `checkpoint()` in its loops

Native code cannot be interrupted, so every loop over strips of a large image calls `checkpoint`. The check
follows the computation into threads that `background.begin` starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]
"""Raises an exception when a computation should end."""


def _never() -> None:
    """Let a computation go on."""


_current: ContextVar[Check] = ContextVar("tamperscope-check", default=_never)


@contextmanager
def checked_by(check: Check | None) -> Iterator[None]:
    """Have `checkpoint` call `check` inside this block, in this thread; None leaves the check as it is."""
    if check is None:
        yield
        return
    before = _current.set(check)
    try:
        yield
    finally:
        _current.reset(before)


def checkpoint() -> None:
    """Raise what the current check raises, if the computation should end."""
    _current.get()()
