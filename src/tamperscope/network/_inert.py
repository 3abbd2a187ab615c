"""Types that training scripts store beside weights, and that run no code when they are read.

PyTorch's restricted reader refuses every type that it does not know. Those here only hold values: numbers of
NumPy, the arguments of a script, paths. A path of another system becomes a path that is only text.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np


def inert_types() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return what `torch.serialization.safe_globals` takes: types, or types under the name in the file."""
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    rebuild = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    return [
        np.dtype,
        np.ndarray,
        *(getattr(np.dtypes, name) for name in np.dtypes.__all__ if name.endswith("DType")),
        # Under the names of NumPy 1 and of NumPy 2.
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        *((rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
        argparse.Namespace,
        collections.defaultdict,
        *(list, dict, set, int, float, str),
        *(
            (pathlib.PurePosixPath if "Posix" in name else pathlib.PureWindowsPath, f"{module}.{name}")
            for module in ("pathlib", "pathlib._local")
            for name in ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
        ),
    ]
