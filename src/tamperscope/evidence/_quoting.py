"""Untrusted text from a file, made safe to quote in our own sentences."""

from __future__ import annotations

LONGEST = 100
"""Longest quotation in characters."""


def quoted(value: object) -> str:
    """Return a value from a file as printable text of at most `LONGEST` characters, whatever it holds."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return "".join(character for character in text[: 4 * LONGEST] if character.isprintable()).strip()[
        :LONGEST
    ]
