"""Text that a file's author chose, for use in our own sentences."""

from __future__ import annotations

LONGEST = 100
"""Characters."""


def quoted(value: object) -> str:
    """Return a value from a file as printable text of bounded length, whatever the file holds."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return "".join(character for character in text[: 4 * LONGEST] if character.isprintable()).strip()[
        :LONGEST
    ]
