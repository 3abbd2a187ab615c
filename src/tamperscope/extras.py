"""Optional dependencies: a missing one is a sentence that says how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tamperscope.errors import MissingExtraError


@contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Import inside of this what the extra `extra` brings, in order to do `purpose`.

    Raises `MissingExtraError` when it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tamperscope"):
            raise
        raise MissingExtraError(
            f"{purpose} needs the package {error.name}, which is not installed; "
            f"install it with: pip install 'tamperscope[{extra}]'."
        ) from None
