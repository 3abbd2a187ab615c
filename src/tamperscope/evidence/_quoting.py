"""Untrusted text from a file, made safe to quote in our own sentences."""

from __future__ import annotations

LONGEST = 100
"""Longest quotation in characters, unless a caller allows more."""


def quoted(value: object, longest: int = LONGEST) -> str:
    """Return a value from a file as printable text of at most `longest` characters, whatever it holds."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    spaced = (" " if character in "\n\r\t" else character for character in text[: 4 * longest])
    return "".join(character for character in spaced if character.isprintable()).strip()[:longest]
