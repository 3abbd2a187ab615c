"""Lists that come in pages."""

from __future__ import annotations

from werkzeug.exceptions import BadRequest

from tamperscope.server.openapi import Parameter

_MOST_LISTED = 100
_USUALLY_LISTED = 20

LIMIT = Parameter(
    "limit",
    f"How many to list; {_USUALLY_LISTED} when left out.",
    {"type": "integer", "minimum": 1, "maximum": _MOST_LISTED},
)
AFTER = Parameter("after", "The id that the list goes on after.", {"type": "string"})


def page_size(text: str | None) -> int:
    """Return the `limit` that a client gave; raises `BadRequest` for one that is out of range."""
    if text is None:
        return _USUALLY_LISTED
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= _MOST_LISTED):
        raise BadRequest(f"`limit` is a whole number from 1 to {_MOST_LISTED}.")
    return int(text)
