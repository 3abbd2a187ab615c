"""The blocks of a GIF (GIF89a, CompuServe 1990)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tamperscope.evidence.structure.finding import RESAVED, Finding
from tamperscope.images import Image, gif_table_size

_MOST_BLOCKS = 100_000
_MOST_LISTED = 100
_HEADER = 13
_PICTURE, _CONTROL, _COMMENT, _TEXT = "picture", "control", "comment", "text"
_EXTENSIONS = {0xF9: _CONTROL, 0xFE: _COMMENT, 0x01: _TEXT}
_APPLICATION = 0xFF


def parts(data: bytes) -> tuple[str, ...]:
    """Return the version and the names of the blocks; the same block several times in a row counts once."""
    names = [data[:6].decode("ascii", "replace")]
    for block in _blocks(data):
        if names[-1] != block.name:
            names.append(block.name)
    return tuple(names[:_MOST_LISTED])


def end(data: bytes) -> int | None:
    """Return the offset after the trailer; None if the file ends before it."""
    last = max((block.end for block in _blocks(data)), default=_HEADER + gif_table_size(data, 10))
    return last + 1 if data[last : last + 1] == b";" else None


def findings(image: Image, _names: tuple[str, ...]) -> Iterator[Finding]:
    """Yield what the blocks tell of programs, and which bytes belong to none of them."""
    blocks = tuple(_blocks(image.data))
    for sentence in dict.fromkeys(_MARKS[block.name] for block in blocks if block.name in _MARKS):
        yield Finding(sentence)
    if sum(block.name == _PICTURE for block in blocks) > 1:
        yield Finding("The file is an animation; its first picture was examined.")
    if stray := sum(block.stray for block in blocks):
        text = (
            f"{stray:,} bytes between the blocks belong to none of them, and the usual encoders write none."
        )
        yield Finding(text, RESAVED)


_MARKS = {
    "ADOBE:IR1.0": "The file holds a block of Adobe ImageReady.",
    "MGK8BIM0000": "The file holds a block of ImageMagick, which websites and programs use.",
    "MGKIPTC0000": "The file holds a block of ImageMagick, which websites and programs use.",
}
"""Application blocks, and what writes them."""


@dataclass(frozen=True)
class _Block:
    name: str
    end: int
    stray: int
    """Bytes before it that belong to no block."""


def _blocks(data: bytes) -> Iterator[_Block]:
    """Yield the blocks up to the trailer; of a damaged file, those before the damage."""
    position, stray = _HEADER + gif_table_size(data, 10), 0
    for _ in range(_MOST_BLOCKS):
        introducer = data[position : position + 1]
        if introducer == b"!":
            label = data[position + 1] if position + 1 < len(data) else 0
            content = position + 2
            name = _EXTENSIONS.get(label, "extension")
            if label == _APPLICATION:
                name = data[content + 1 : content + 12].decode("ascii", "replace").strip()
                name = name if name.isprintable() and name else "application"
        elif introducer == b",":
            content = position + 11 + gif_table_size(data, position + 9)
            name = _PICTURE
        elif introducer in (b";", b""):
            return
        else:
            position, stray = position + 1, stray + 1
            continue
        position = _after(data, content)
        if position > len(data):
            return
        yield _Block(name, position, stray)
        stray = 0


def _after(data: bytes, position: int) -> int:
    """Return the offset after a chain of sub-blocks."""
    while length := int.from_bytes(data[position : position + 1]):
        position += 1 + length
    return position + 1
