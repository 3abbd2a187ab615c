"""The lifecycle of a server or worker process: SIGHUP reloads it, SIGINT and SIGTERM stop it."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, Protocol

from tamperscope.errors import TamperscopeError
from tamperscope.report import BundleIdentity

# Of glibc's mallopt, <malloc.h>.
_M_ARENA_MAX = -8
_HEAPS = 2
_TRIM_SECONDS = 60.0
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


class Running(Protocol):
    """A server or worker that runs in the background until it is stopped."""

    def reload(self) -> BundleIdentity:
        """Load the bundle again; raises `TamperscopeError` and changes nothing when it cannot be used."""

    def wait(self) -> None:
        """Return when it has ended by itself or cannot go on, if it ever does."""

    def stop(self) -> bool:
        """Finish what is in progress, and end; return whether every analysis has ended."""


def share_heaps() -> None:
    """Make all threads of this process share two heaps, if the C library is glibc.

    Otherwise glibc gives each thread its own heap, and each heap keeps the memory that its largest image
    needed. Call this before the threads that analyse start.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)


def return_free_memory() -> None:
    """Give memory that this process has freed back to the system, if the C library is glibc.

    glibc keeps it otherwise, as long as anything after it in its heap is in use.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def allow_open_files(count: int) -> None:
    """Raise this process's limit of open files to `count`, or as far as the system permits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(start: Callable[[], Running], say: Callable[[str], None], farewell: str) -> None:
    """Start something and stop it at SIGINT or SIGTERM, after saying `farewell`; SIGHUP reloads it.

    A process that ends by itself, or whose analyses hang, ends with status 1, so that its supervisor starts
    another. Raises what `start` raises.
    """
    # Both signals end the wait below in the same way, even while the model is loading, and even if a shell
    # started this process with SIGINT ignored.
    for number in _ENDING_SIGNALS:
        signal.signal(number, _end)
    hangup = threading.Event()
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: hangup.set())
    running = None
    status = 1
    try:
        running = start()
        # Not inside the signal handler: loading takes seconds and would block every other signal.
        threading.Thread(
            target=_reload_on, args=(hangup, running), name="tamperscope-reload", daemon=True
        ).start()
        threading.Thread(target=_trim_regularly, name="tamperscope-memory", daemon=True).start()
        running.wait()
    except KeyboardInterrupt:
        status = 0
        say(farewell)
    finally:
        if running and not running.stop():
            _log.warning("an analysis did not end in time and is cut off")
            _leave(status)
    if status:
        sys.exit(status)


def _leave(status: int) -> NoReturn:
    """End the process without waiting for threads in native code, which the interpreter would abort."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end(*_: Any) -> None:
    # Stopping `make serve` may signal both make, which passes the signal on, and this process. The second
    # signal must not cut off the answers that the first one waits for.
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _trim_regularly() -> None:
    while True:
        time.sleep(_TRIM_SECONDS)
        return_free_memory()


def _reload_on(hangup: threading.Event, running: Running) -> None:
    while hangup.wait():
        hangup.clear()
        try:
            identity = running.reload()
        except TamperscopeError as error:
            _log.error("reload failed, nothing was changed: %s", error)
        else:
            _log.info("reloaded: bundle %s %s %s", identity.name, identity.version, identity.sha256)
