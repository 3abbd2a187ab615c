"""The boxes of a HEIF or AVIF file (ISO/IEC 14496-12), unread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MOST_BOXES = 100
"""Boxes of one level that are looked at."""


@dataclass(frozen=True)
class Box:
    """Where one box lies."""

    kind: bytes
    start: int
    """Offset of the content."""
    end: int
    """Offset after the box; past the end of the data if the box is cut off."""


def boxes(data: bytes, position: int, stop: int) -> Iterator[Box]:
    """Yield the boxes between two offsets; of a damaged file, those before the damage."""
    for _ in range(MOST_BOXES):
        if position + 8 > stop:
            return
        size, kind, head = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[position + 8 : position + 16]), 16
        elif size == 0:
            size = stop - position
        if size < head:
            return
        yield Box(kind, position + head, position + size)
        position += size


def boxes_of(data: bytes) -> Iterator[Box]:
    """Yield the boxes of the outermost level."""
    return boxes(data, 0, len(data))


def meta_boxes(data: bytes) -> Iterator[Box]:
    """Yield the boxes inside `meta`."""
    for box in boxes_of(data):
        if box.kind == b"meta":
            # Four bytes of version and flags come first.
            yield from boxes(data, box.start + 4, min(box.end, len(data)))
            return
