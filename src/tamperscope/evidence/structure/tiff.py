"""The directories, values and pixels of a TIFF (TIFF 6.0, section 2; BigTIFF).

Offsets lead to everything in the file, so its parts may stand in any order. libtiff, which most programs use,
writes the directory after the pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tamperscope.evidence import metadata
from tamperscope.evidence.structure.finding import RESAVED, Finding
from tamperscope.images import Image

_MOST_DIRECTORIES = 100
_MOST_ENTRIES = 2000
_MOST_PIECES = 2**16
"""Strips or tiles of one directory."""
_MOST_SPANS = 2 * _MOST_PIECES
_LEAST_LEFT = 64
"""Bytes from which a gap between parts counts. Writers start parts at even offsets, and pad some values."""


def parts(data: bytes) -> tuple[str, ...]:
    """Return the byte order, and the directories and blocks of pixels in their order in the file."""
    layout = _Layout(data)
    order = "big-endian" if data[:2] == b"MM" else "little-endian"
    names = [f"{'BigTIFF' if layout.big else 'TIFF'} {order}"]
    for span in layout.spans:
        if span.name and names[-1] != span.name:
            names.append(span.name)
    return tuple(names[:_MOST_DIRECTORIES])


def end(data: bytes) -> int | None:
    """Return the offset after the last part that an offset leads to; None if the file ends before it."""
    last = max((span.end for span in _Layout(data).spans), default=8)
    return last if last <= len(data) else None


def findings(image: Image, names: tuple[str, ...]) -> Iterator[Finding]:
    """Yield what the order of the parts, the gaps between them and private tags tell."""
    layout = _Layout(image.data)
    for tag, sentence in _MARKS.items():
        if tag in layout.tags:
            yield Finding(sentence)
    pixels, directory = (names.index(name) if name in names else 0 for name in (_PIXELS, _DIRECTORY))
    if 0 < pixels < directory and metadata.read(image).first("EXIF", "Make"):
        text = (
            "The directory of the file stands after the pixels, as programs write it and hardly any camera "
            "does: a program probably saved the picture again."
        )
        yield Finding(text, RESAVED)
    if left := layout.left():
        text = (
            f"Nothing in the file refers to {left:,} bytes inside it: a program that changed the metadata "
            "probably left them, or only the camera maker's programs know them."
        )
        yield Finding(text)


_DIRECTORY, _FURTHER, _PIXELS, _PICTURE = "IFD0", "IFD", "pixels", "picture"
"""Names of the parts: the first directory and further ones, the pixels of the first and other pictures."""
_MARKS = {
    37724: "The file holds the layers of Adobe Photoshop; the picture that was examined is their sum.",
    50838: "The file holds tags of ImageJ, a program for scientific images.",
    33550: "The file holds tags of maps (GeoTIFF).",
    50706: "The file holds tags of a digital negative (DNG).",
}
"""Tags of programs and fields, and what they tell."""


# Layout

_KINDS = {1: (1, 2, 6, 7), 2: (3, 8), 4: (4, 9, 11, 13), 8: (5, 10, 12, 16, 17, 18)}
_SIZES = {kind: size for size, kinds in _KINDS.items() for kind in kinds}
"""Bytes of one value of each type."""
_NUMBERS = {3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
"""Types of offsets and lengths."""
_SUB_DIRECTORIES = frozenset((330, 34665, 34853, 40965))
_PIECES = {273: 279, 324: 325, 513: 514}
"""Tags of the offsets of pixels or of a preview, and of their lengths."""


@dataclass(frozen=True)
class _Span:
    """A part of the file."""

    start: int
    end: int
    name: str = ""
    """Empty for a value."""


@dataclass(frozen=True)
class _Entry:
    kind: int
    count: int
    place: int
    """Offset of the values."""


class _Layout:
    """Which bytes of a TIFF belong to which part."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<" if data[:2] == b"II" else ">"
        self.big = 43 in data[2:4]
        self.tags: set[int] = set()
        """Those of all directories."""
        found = islice(self._walk(), _MOST_SPANS)
        self.spans = tuple(sorted(found, key=lambda span: span.start))
        """The parts by their offsets, after the header."""

    def left(self) -> int:
        """Return how many bytes lie in gaps between the parts that are longer than padding."""
        position, count = 16 if self.big else 8, 0
        for span in self.spans:
            gap = self._data[position : span.start].strip(b"\0")
            count += len(gap) if len(gap) >= _LEAST_LEFT else 0
            position = max(position, span.end)
        return count

    def _walk(self) -> Iterator[_Span]:
        head, width, inline, pointer = ("Q", 20, 8, "Q") if self.big else ("H", 12, 4, "L")
        waiting = [(self._number(pointer, 8 if self.big else 4), _DIRECTORY)]
        seen: set[int] = set()
        while waiting and len(seen) < _MOST_DIRECTORIES:
            offset, name = waiting.pop(0)
            if not offset or offset in seen or offset >= len(self._data):
                continue
            seen.add(offset)
            count = min(self._number(head, offset), _MOST_ENTRIES)
            start = offset + struct.calcsize(self._order + head)
            end = start + count * width
            yield _Span(offset, end + struct.calcsize(self._order + pointer), name)
            entries = dict(self._entries(start, end, width, inline))
            self.tags.update(entries)
            for tag, entry in entries.items():
                if (size := _SIZES.get(entry.kind, 1) * entry.count) > inline:
                    yield _Span(entry.place, entry.place + size)
                if tag in _SUB_DIRECTORIES:
                    waiting += [(number, _FURTHER) for number in self._numbers(entry)[:_MOST_DIRECTORIES]]
            for offsets, lengths in _PIECES.items():
                if offsets in entries and lengths in entries:
                    starts, sizes = self._numbers(entries[offsets]), self._numbers(entries[lengths])
                    kind = _PIXELS if name == _DIRECTORY and offsets != 513 else _PICTURE
                    yield from (_Span(at, at + size, kind) for at, size in zip(starts, sizes, strict=False))
            waiting.append((self._number(pointer, end), _FURTHER))

    def _entries(self, start: int, end: int, width: int, inline: int) -> Iterator[tuple[int, _Entry]]:
        for place in range(start, min(end, len(self._data) - width + 1), width):
            tag, kind = struct.unpack_from(f"{self._order}HH", self._data, place)
            count = self._number("Q" if self.big else "L", place + 4)
            value = place + width - inline
            size = _SIZES.get(kind, 1) * count
            if size > inline:
                value = self._number("Q" if self.big else "L", value)
            yield tag, _Entry(kind, count, value)

    def _numbers(self, entry: _Entry) -> tuple[int, ...]:
        """Return the values of an entry that are offsets or lengths, as far as the file holds them."""
        letter = _NUMBERS.get(entry.kind, "")
        if not letter or entry.place > len(self._data):
            return ()
        size = struct.calcsize(f"{self._order}{letter}")
        count = min(entry.count, _MOST_PIECES, (len(self._data) - entry.place) // size)
        return struct.unpack_from(f"{self._order}{count}{letter}", self._data, entry.place)

    def _number(self, letter: str, place: int) -> int:
        """Return the unsigned integer at an offset; 0 past the end of the file."""
        if place + struct.calcsize(self._order + letter) > len(self._data):
            return 0
        return int(struct.unpack_from(self._order + letter, self._data, place)[0])
