"""The chunks of a WebP (RFC 9649)."""

from __future__ import annotations

from collections.abc import Iterator

from tamperscope.evidence.structure.finding import RESAVED, Finding
from tamperscope.images import Image

_MOST_CHUNKS = 100
_STANDARD = frozenset(("VP8", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "ICCP", "EXIF", "XMP", "C2PA"))
_PHOTOSHOP = "PSAI"
"""A chunk of Photoshop's image resources."""
_PICTURE = frozenset(("VP8", "VP8L", "ANMF"))


def parts(data: bytes) -> tuple[str, ...]:
    """Return the names of the chunks; the same chunk several times in a row counts once."""
    names: list[str] = []
    position, stop = 12, end(data) or len(data)
    while position + 8 <= stop and len(names) < _MOST_CHUNKS:
        kind = data[position : position + 4].rstrip()
        name = kind.decode("ascii") if kind.isalnum() else "????"
        if names[-1:] != [name]:
            names.append(name)
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + length + length % 2
    return tuple(names)


def end(data: bytes) -> int | None:
    """Return the offset after the end of the picture; None if the file ends within it."""
    length = int.from_bytes(data[4:8], "little")
    last = 8 + length + length % 2
    return min(last, len(data)) if 8 + length <= len(data) else None


def findings(_image: Image, chunks: tuple[str, ...]) -> Iterator[Finding]:
    """Yield what the chunks tell."""
    foreign = [chunk for chunk in dict.fromkeys(chunks) if chunk not in _STANDARD]
    if _PHOTOSHOP in foreign:
        foreign.remove(_PHOTOSHOP)
        yield Finding("The file holds a chunk of Adobe Photoshop.")
    if foreign:
        yield Finding(f"The file holds chunks that the standard does not know: {', '.join(foreign[:5])}.")
    first = next((number for number, chunk in enumerate(chunks) if chunk in _PICTURE), len(chunks))
    if any(chunk in ("EXIF", "XMP") for chunk in chunks[:first]):
        text = "Metadata stands before the picture, where the usual encoder does not write it."
        yield Finding(text, RESAVED)
