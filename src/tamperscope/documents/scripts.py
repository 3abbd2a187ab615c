"""Arabic and Hebrew for a writer that sets glyphs from left to right: joined letters, and lines in order.

`joined` chooses the form of each Arabic letter, as Unicode's presentation forms name them. `visual_order` is
the Unicode Bidirectional Algorithm (UAX #9) without its controls, which no text of a report contains.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_ARABIC = re.compile("[\u0600-\u06ff]")


def joined(text: str) -> str:
    """Return text whose Arabic letters have the form that their neighbours give them, in reading order."""
    if not _ARABIC.search(text):
        return text
    letters = _with_ligatures(text)
    written = []
    for number, letter in enumerate(letters):
        forms = _forms().get(letter)
        if forms is None:
            written.append(letter)
            continue
        before = _neighbour(letters, number, -1)
        after = _neighbour(letters, number, 1)
        to_before = bool(before and before.initial and forms.final)
        to_after = bool(after and after.final and forms.initial)
        form = (forms.isolated, forms.initial, forms.final, forms.medial)[2 * to_before + to_after]
        written.append(form or letter)
    return "".join(written)


def has_right_to_left(text: str) -> bool:
    """Return whether text has letters that are written from right to left."""
    return bool(_RIGHT_TO_LEFT.search(text))


def visual_order(line: str, right_to_left: bool) -> list[int]:
    """Return the positions of a line's characters from left to right; `right_to_left` is its direction."""
    if not right_to_left and not _RIGHT_TO_LEFT.search(line):
        return list(range(len(line)))
    levels = _levels(line, 1 if right_to_left else 0)
    order = list(range(len(line)))
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(order):
            if levels[order[start]] < level:
                start += 1
                continue
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = reversed(order[start:end])
            start = end
    return order


def mirrored(line: str, right_to_left: bool) -> list[str]:
    """Return a line's characters from left to right; brackets in text from right to left are mirrored."""
    levels = _levels(line, 1 if right_to_left else 0)
    return [
        _MIRRORS.get(line[at], line[at]) if levels[at] % 2 else line[at]
        for at in visual_order(line, right_to_left)
    ]


_MIRRORS = dict(zip("()[]{}<>«»‹›", ")(][}{><»«›‹", strict=True))
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


class _Forms(NamedTuple):
    isolated: str = ""
    initial: str = ""
    final: str = ""
    medial: str = ""


@functools.cache
def _forms() -> Mapping[str, _Forms]:
    """Return the forms of each letter and of each ligature of lam and alef, by the letters themselves."""
    found: dict[str, dict[str, str]] = {}
    for code in (*range(0xFB50, 0xFBB2), *range(0xFBD3, 0xFC00), *range(0xFE80, 0xFEFD)):
        kind, *letters = unicodedata.decomposition(chr(code)).split()
        name = "".join(chr(int(letter, 16)) for letter in letters)
        if len(name) == 1 or (len(name) == 2 and name[0] == "\u0644" and code >= 0xFEF5):
            found.setdefault(name, {})[kind.strip("<>")] = chr(code)
    # The stroke that lengthens a word joins on both sides and has one form.
    return {**{name: _Forms(**forms) for name, forms in found.items()}, "\u0640": _Forms(*4 * ["\u0640"])}


def _with_ligatures(text: str) -> list[str]:
    letters: list[str] = []
    for letter in text:
        if letters and letters[-1] == "\u0644" and letters[-1] + letter in _forms():
            letters[-1] += letter
        else:
            letters.append(letter)
    return letters


def _neighbour(letters: Sequence[str], number: int, step: int) -> _Forms | None:
    """Return the forms of the next letter, past vowel signs, which do not break a word."""
    number += step
    while 0 <= number < len(letters) and unicodedata.category(letters[number][0]) == "Mn":
        number += step
    return _forms().get(letters[number]) if 0 <= number < len(letters) else None


def _levels(line: str, base: int) -> list[int]:
    """Return the embedding level of each character: rules W1 to W7, N0 to N2, I1, I2 and L1 of UAX #9."""
    edge = "R" if base else "L"
    kinds = [unicodedata.bidirectional(character) or "L" for character in line]
    _resolve_weak(kinds, edge)
    _resolve_brackets(line, kinds, edge)
    _resolve_neutral(kinds, edge)
    levels = [base + (kind == "R" or (kind != "L" and 2) if base % 2 == 0 else kind != "R") for kind in kinds]
    for at in range(len(line) - 1, -1, -1):
        if not line[at].isspace():
            break
        levels[at] = base
    return levels


def _resolve_weak(kinds: list[str], edge: str) -> None:
    strong = before = edge
    for at, kind in enumerate(kinds):
        if kind == "NSM":
            kinds[at] = kind = before
        if kind in ("L", "R", "AL"):
            strong = kind
        elif kind == "EN" and strong == "AL":
            kinds[at] = "AN"
        before = kinds[at]
    kinds[:] = ["R" if kind == "AL" else kind for kind in kinds]
    for at in range(1, len(kinds) - 1):
        around = kinds[at - 1], kinds[at + 1]
        if (kinds[at] in ("ES", "CS") and around == ("EN", "EN")) or (
            kinds[at] == "CS" and around == ("AN", "AN")
        ):
            kinds[at] = around[0]
    at = 0
    while at < len(kinds):
        end = at
        while end < len(kinds) and kinds[end] == "ET":
            end += 1
        if end > at and "EN" in (*kinds[at - 1 : at], *kinds[end : end + 1]):
            kinds[at:end] = ["EN"] * (end - at)
        at = max(end, at + 1)
    strong = edge
    for at, kind in enumerate(kinds):
        if kind in ("ES", "CS", "ET"):
            kinds[at] = "ON"
        elif kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[at] = "L"


def _resolve_brackets(line: str, kinds: list[str], edge: str) -> None:
    """Give both brackets of a pair the direction of what they enclose, or of what stands before them."""
    opened: list[int] = []
    pairs = []
    for at, character in enumerate(line):
        if character in _BRACKETS:
            opened.append(at)
        elif character in _BRACKETS.values():
            same = [number for number, start in enumerate(opened) if _BRACKETS[line[start]] == character]
            if same:
                pairs.append((opened[same[-1]], at))
                del opened[same[-1] :]
    for start, end in sorted(pairs):
        inside = {_side(kind) for kind in kinds[start + 1 : end] if kind in ("L", "R", "EN", "AN")}
        if not inside:
            continue
        before = next(
            (_side(kind) for kind in reversed(kinds[:start]) if kind in ("L", "R", "EN", "AN")), edge
        )
        kinds[start] = kinds[end] = edge if edge in inside or before == edge else before


def _resolve_neutral(kinds: list[str], edge: str) -> None:
    at = 0
    while at < len(kinds):
        end = at
        while end < len(kinds) and kinds[end] not in ("L", "R", "EN", "AN"):
            end += 1
        if end > at:
            left = _side(kinds[at - 1]) if at else edge
            right = _side(kinds[end]) if end < len(kinds) else edge
            kinds[at:end] = [left if left == right else edge] * (end - at)
        at = max(end, at + 1)


def _side(kind: str) -> str:
    return "L" if kind == "L" else "R"
