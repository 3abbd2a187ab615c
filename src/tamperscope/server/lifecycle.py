"""How a process that serves or works lives: started, told to reload by SIGHUP, ended by SIGINT or SIGTERM."""

from __future__ import annotations

import ctypes
import logging
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from tamperscope.errors import TamperscopeError
from tamperscope.report import BundleIdentity

# Of glibc's mallopt, <malloc.h>.
_M_ARENA_MAX = -8
_HEAPS = 2
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


class Running(Protocol):
    """What works in the background until it is stopped."""

    def reload(self) -> BundleIdentity:
        """Read the bundle anew; raises `TamperscopeError` when it cannot be used, and nothing has changed."""

    def wait(self) -> None:
        """Return when it has ended by itself, if ever."""

    def stop(self) -> None:
        """Finish what is in work, and end."""


def share_heaps() -> None:
    """Let all threads of this process use two heaps, where the C library is glibc.

    It gives each thread its own otherwise, and each keeps what the largest picture needed in it. To be called
    before the threads that analyse begin.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)


def run(start: Callable[[], Running], say: Callable[[str], None], farewell: str) -> None:
    """Start something and stop it at SIGINT or SIGTERM, after saying `farewell`; SIGHUP reloads it.

    Raises what `start` raises.
    """
    # Both end the wait below in the same way, even while the model is loading, and even where a shell
    # started us with SIGINT ignored.
    for number in _ENDING_SIGNALS:
        signal.signal(number, _end)
    hangup = threading.Event()
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: hangup.set())
    running = None
    try:
        running = start()
        # Not in the signal's own frame: loading takes seconds, in which no other signal would be heard.
        threading.Thread(
            target=_reload_on, args=(hangup, running), name="tamperscope-reload", daemon=True
        ).start()
        running.wait()
    except KeyboardInterrupt:
        say(farewell)
    finally:
        if running:
            running.stop()


def _end(*_: Any) -> None:
    # Whoever stops `make serve` may signal make, which passes it on, and us as well: the second one must not
    # cut off the answers that the first one waits for.
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _reload_on(hangup: threading.Event, running: Running) -> None:
    while hangup.wait():
        hangup.clear()
        try:
            identity = running.reload()
        except TamperscopeError as error:
            _log.error("The reload failed, and everything stays as it was: %s", error)
        else:
            _log.info("reloaded: bundle %s %s %s", identity.name, identity.version, identity.sha256)
