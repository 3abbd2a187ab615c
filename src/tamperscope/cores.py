"""The processor's cores, and how a process that is all ours shares them."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def leave_blas_one_thread() -> None:
    """Let NumPy's BLAS use one thread from now on; for whoever owns the process, which a library does not.

    Products of matrices are small here, and its threads wait by spinning, on cores that the networks need.
    """
    threadpool_limits(1, user_api="blas")
