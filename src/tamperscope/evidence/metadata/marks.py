"""Generators, editors and platforms, recognised by the marks that `marks.toml` lists.

for mark in find(metadata):
    mark.program, mark.kind, mark.entry
platform_of_size(1600)
"""

from __future__ import annotations

import enum
import functools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from importlib import resources

from tamperscope.evidence.metadata.reading import Entry, Metadata


class Kind(enum.StrEnum):
    """What a program does to a picture."""

    GENERATOR = "generator"
    AI_EDITOR = "ai_editor"
    EDITOR = "editor"
    VIEWER = "viewer"
    CAMERA = "camera"
    SCREENSHOT = "screenshot"
    PLATFORM = "platform"


@dataclass(frozen=True)
class Mark:
    """A mark that was found."""

    program: str
    """The program's name for readers."""
    kind: Kind
    entry: Entry
    """What the file holds."""
    note: str = ""
    """What the mark can mean and cannot, where that is more than its kind tells."""

    @property
    def named(self) -> bool:
        """Whether the program has a name, rather than a description such as "an image generator"."""
        return not self.program.startswith(("a ", "an ", "another "))


def find(metadata: Metadata) -> tuple[Mark, ...]:
    """Return the marks in a file's metadata, at most one for each program.

    A generator without a name is left out where another mark names it.
    """
    found: dict[str, Mark] = {}
    for entry in metadata.entries:
        mark = _marked(entry)
        if mark is not None:
            found.setdefault(mark.program, mark)
    named = any(mark.kind is Kind.GENERATOR and mark.named for mark in found.values())
    return tuple(
        mark for mark in found.values() if mark.named or mark.kind is not Kind.GENERATOR or not named
    )


def platform_of_size(longer: int) -> str:
    """Return which platforms reduce pictures to so many pixels on the longer side; empty for others.

    Such as "WhatsApp, Signal". It is a hint: other programs use the same sizes.
    """
    return _sizes().get(longer, "")


def texts() -> frozenset[str]:
    """Return the notes of the marks, and those names of programs that are not the same in every language."""
    names = {known.program for known in _known() if _DESCRIPTION.search(known.program)}
    return frozenset(names | {known.note for known in _known() if known.note})


_DESCRIPTION = re.compile(r"^(a|an|another) | or |\([a-z ]+\)$")
"""A name that holds words: `another image editor`, `Krita or GIMP`, `Google AI (editing)`."""


def names_program(entry: Entry) -> bool:
    """Return whether an entry names the program that wrote the file."""
    return _places(_listed("places_of_programs")).match(f"{entry.group}/{entry.name}") is not None


_LONGEST_SEARCHED = 20_000
"""Characters of a value in which a mark is searched for."""


@dataclass(frozen=True)
class _Known:
    program: str
    kind: Kind
    places: re.Pattern[str]
    pattern: re.Pattern[str]
    note: str


def _marked(entry: Entry) -> Mark | None:
    place, value = f"{entry.group}/{entry.name}", entry.value[:_LONGEST_SEARCHED]
    if not _anywhere().match(place):
        return None
    for known in _known():
        if known.places.match(place) and known.pattern.search(value):
            return Mark(known.program, known.kind, entry, known.note)
    return None


@functools.cache
def _table() -> dict[str, object]:
    text = (resources.files("tamperscope.evidence.metadata") / "marks.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _listed(name: str) -> tuple[str, ...]:
    places = _table()[name]
    assert isinstance(places, list)
    return tuple(places)


@functools.cache
def _sizes() -> dict[int, str]:
    rows = _table()["size"]
    assert isinstance(rows, list)
    return {row["longer"]: row["programs"] for row in rows}


@functools.cache
def _places(places: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, places)))


@functools.cache
def _known() -> tuple[_Known, ...]:
    return tuple(_rows())


@functools.cache
def _anywhere() -> re.Pattern[str]:
    """Return a pattern of every place that any mark can have."""
    return re.compile("|".join(dict.fromkeys(known.places.pattern for known in _known())))


def _rows() -> Iterator[_Known]:
    rows = _table()["mark"]
    assert isinstance(rows, list)
    programs, devices = _listed("places_of_programs"), _listed("places_of_devices")
    for row in rows:
        kind = Kind(row["kind"])
        usual = (*programs, *devices) if kind is Kind.GENERATOR else programs
        yield _Known(
            program=row["program"],
            kind=kind,
            places=_places(tuple(row.get("places", usual))),
            pattern=re.compile(row["pattern"], re.IGNORECASE),
            note=row.get("note", ""),
        )
