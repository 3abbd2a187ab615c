"""Check for optional dependencies, and say which extra installs a missing one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from tamperscope.errors import MissingExtraError


def require(purpose: str, packages: Iterable[str], extra: str) -> None:
    """Raise `MissingExtraError` unless all `packages` are installed.

    The message says how to install `extra`.
    """
    if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
        raise MissingExtraError(
            f"{purpose} needs {', '.join(missing)}, not installed here: pip install 'tamperscope[{extra}]'."
        )
