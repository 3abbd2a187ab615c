"""Count the usable processor cores, and keep BLAS from competing for them."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def leave_blas_one_thread() -> None:
    """Limit NumPy's BLAS to one thread for the rest of the process.

    Only a program should call this: a library does not own its process. Matrix products are small here, and
    idle BLAS threads spin on cores that the networks need.
    """
    threadpool_limits(1, user_api="blas")
