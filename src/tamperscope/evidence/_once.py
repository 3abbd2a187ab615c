"""Reading of an image that several measurements need, done once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from tamperscope.images import Image

_Read = TypeVar("_Read", bound=Callable[..., Any])


def once_per_image(read: _Read) -> _Read:
    """Return a function that calls `read(image, *more)` once for each image and forgets the result with it.

    `more` must be hashable.
    """
    found: WeakKeyDictionary[Image, dict[Hashable, Any]] = WeakKeyDictionary()

    @wraps(read)
    def once(image: Image, *more: Hashable) -> Any:
        results = found.setdefault(image, {})
        if more not in results:
            results[more] = read(image, *more)
        return results[more]

    return cast(_Read, once)
