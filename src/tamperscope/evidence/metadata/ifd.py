"""The directories of an EXIF block or a TIFF file (TIFF 6.0; CIPA DC-008), each value on its own.

    for field in read_directories(block):
        field.directory, field.tag, field.value

Pillow and exifread read whole values before anyone can refuse them, and lose a directory with its first
broken value. Here a value is bounded before it is read, and a broken one is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

MAIN, CAPTURE, GPS, INTEROP, THUMBNAIL = "main", "capture", "gps", "interop", "thumbnail"
"""Names of directories: IFD0, the EXIF IFD, the GPS IFD, the interoperability IFD and IFD1."""
LONGEST_VALUE = 2**18
"""Bytes. XMP and Photoshop resources of a TIFF are the longest values that are of use."""
MOST_FIELDS = 2000
_MOST_NUMBERS = 64
"""Numbers of one value; longer lists, such as the offsets of strips, are for decoders only."""

DECODERS_ONLY = frozenset((273, 279, 324, 325, 320, 347, 513, 514))
"""Tags that only a decoder needs: where pixels and tables lie."""
_MOST_PLAIN_BYTES = 4
"""Versions are single bytes; programs also write texts as bytes."""

_TYPES = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q", 17: "q"}
_BYTE, _TEXT, _UNDEFINED, _RATIONALS = 1, 2, 7, {5: "LL", 10: "ll"}
_POINTERS = {0x8769: CAPTURE, 0x8825: GPS, 0xA005: INTEROP}
_BIG = b"\x2b"


@dataclass(frozen=True)
class Field:
    """One value of a directory."""

    directory: str
    tag: int
    value: Any
    """bytes for text and undefined data; a number, or a tuple of numbers, for everything else. Within a
    tuple, None stands for a fraction over zero.
    """


def read_directories(block: bytes) -> Iterator[Field]:
    """Yield the fields of IFD0, IFD1 and the directories that they point to; nothing of a damaged block."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return
    layout = _Layout(order, block[2:3] == _BIG or block[3:4] == _BIG)
    waiting = [(MAIN, layout.first(block))]
    seen: set[int] = set()
    left = MOST_FIELDS
    while waiting and left > 0:
        directory, offset = waiting.pop(0)
        if not offset or offset in seen:
            continue
        seen.add(offset)
        fields, following = layout.read(block, directory, offset, left)
        left -= len(fields)
        for field in fields:
            pointed = _POINTERS.get(field.tag)
            if pointed and isinstance(field.value, int) and directory in (MAIN, CAPTURE):
                waiting.append((pointed, field.value))
            else:
                yield field
        if directory == MAIN:
            waiting.append((THUMBNAIL, following))


@dataclass(frozen=True)
class _Layout:
    """Byte order and widths of a TIFF; a BigTIFF has wider counts and offsets."""

    order: str
    big: bool

    def first(self, block: bytes) -> int:
        return self._number("Q", block, 8) if self.big else self._number("L", block, 4)

    def read(self, block: bytes, directory: str, offset: int, most: int) -> tuple[list[Field], int]:
        """Return the fields of the directory at an offset, and the offset of the following directory."""
        head, entry, inline = ("Q", "HHQ8s", 8) if self.big else ("H", "HHL4s", 4)
        count = self._number(head, block, offset)
        width = struct.calcsize(self.order + entry)
        start = offset + struct.calcsize(self.order + head)
        fields = []
        for number in range(min(count, most)):
            place = start + number * width
            if place + width > len(block):
                break
            tag, kind, length, value = struct.unpack_from(self.order + entry, block, place)
            found = self._value(block, kind, length, value[:inline])
            if found is not None:
                fields.append(Field(directory, tag, found))
        return fields, self._number("Q" if self.big else "L", block, start + count * width)

    def _value(self, block: bytes, kind: int, count: int, value: bytes) -> Any:
        letters = _RATIONALS.get(kind) or _TYPES.get(kind) or ("B" if kind in (_TEXT, _UNDEFINED) else "")
        size = count * struct.calcsize(self.order + letters)
        if not letters or not 0 < size <= LONGEST_VALUE:
            return None
        if size > len(value):
            offset = self._number("Q" if self.big else "L", value, 0)
            value = block[offset : offset + size]
            if len(value) < size and kind != _TEXT:
                return None
        value = value[:size]
        if kind in (_TEXT, _UNDEFINED) or (kind == _BYTE and count > _MOST_PLAIN_BYTES):
            return value
        if count > _MOST_NUMBERS:
            return None
        numbers: tuple[Any, ...] = struct.unpack(f"{self.order}{count * len(letters)}{letters[0]}", value)
        if kind in _RATIONALS:
            numbers = tuple(
                Fraction(above, below) if below else None
                for above, below in zip(numbers[::2], numbers[1::2], strict=True)
            )
        return numbers[0] if len(numbers) == 1 else numbers

    def _number(self, letter: str, block: bytes, offset: int) -> int:
        """Return the unsigned integer at an offset; 0 past the end of the block."""
        if offset + struct.calcsize(self.order + letter) > len(block):
            return 0
        return int(struct.unpack_from(self.order + letter, block, offset)[0])
