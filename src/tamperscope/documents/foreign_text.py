"""Untrusted text, such as metadata: made safe to show, not safe to trust."""

from __future__ import annotations

import unicodedata

LONGEST = 300
_MOST_MARKS = 3
_JOINERS = "\u200c\u200d"
"""Format characters that Persian, Hindi and other languages need within words."""


def shown(text: str, longest: int = LONGEST) -> str:
    """Return text on one line, cut after `longest` characters, without invisible characters that take effect.

    Characters that control the output, reorder their surroundings or have no meaning are spelled out as
    `‹U+202E›`, which counts as eight characters. Three of the combining marks that pile up on a letter stay.
    A cut text ends with its full length. The caller escapes the result for its markup.
    """
    line = ""
    marks = 0
    cut = len(text) > 2 * longest
    for character in " ".join(text[: 2 * longest].split()):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MOST_MARKS:
            continue
        acts = unicodedata.category(character).startswith("C") and character not in _JOINERS
        written = f"‹U+{ord(character):04X}›" if acts else character
        if len(line) + len(written) > longest:
            cut = True
            break
        line += written
    return f"{line}… ({len(text):,} characters)" if cut else line
