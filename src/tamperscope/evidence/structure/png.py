"""The chunks of a PNG (W3C PNG 3, 5.3 and 5.6)."""

from __future__ import annotations

from collections.abc import Iterator

from tamperscope.evidence.structure.finding import Finding
from tamperscope.images import Image

_MOST_CHUNKS = 100


def parts(data: bytes) -> tuple[str, ...]:
    """Return the names of the chunks; the same chunk several times in a row counts once."""
    names: list[str] = []
    for kind, _ in _chunks(data):
        name = kind.decode("ascii") if kind.isalpha() else "????"
        if names[-1:] != [name]:
            names.append(name)
        if len(names) >= _MOST_CHUNKS:
            break
    return tuple(names)


def end(data: bytes) -> int | None:
    """Return the offset after the last chunk; None if the file ends before it."""
    return next((min(end, len(data)) for kind, end in _chunks(data) if kind == b"IEND"), None)


def findings(_image: Image, chunks: tuple[str, ...]) -> Iterator[Finding]:
    """Yield which programs leave chunks of their own."""
    told = dict.fromkeys(_MARKS[chunk] for chunk in chunks if chunk in _MARKS)
    for sentence in told:
        yield Finding(sentence)


_FIREWORKS = "The file holds chunks of Adobe Fireworks, which saves its layers in a PNG."
_IMAGEMAGICK = "The file holds a chunk of ImageMagick, which websites and programs use."
_MARKS = {
    "iDOT": "The file holds a chunk that the encoder of Apple's systems writes, for screenshots as well.",
    "vpAg": _IMAGEMAGICK,
    "caNv": _IMAGEMAGICK,
    "orNT": _IMAGEMAGICK,
    "mkBF": _FIREWORKS,
    "mkTS": _FIREWORKS,
    "prVW": _FIREWORKS,
    "msOG": "The file holds a chunk of Microsoft Office.",
    "acTL": "The file is an animation; its first picture was examined.",
}
"""Chunks outside the standard, and what writes them."""


def _chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the kind of each chunk up to IEND, and the offset after it."""
    position = 8
    while position + 12 <= len(data):
        kind = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4])
        yield kind, position
        if kind == b"IEND":
            return
