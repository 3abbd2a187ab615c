"""The parts of a bitmap (Microsoft's BITMAPFILEHEADER and the headers that follow it)."""

from __future__ import annotations

from collections.abc import Iterator

from tamperscope.evidence.structure.finding import INCOHERENT, Finding
from tamperscope.images import Image

_FILE_HEADER = 14
_NAMES = {
    12: "BITMAPCOREHEADER",
    16: "OS22XBITMAPHEADER",
    40: "BITMAPINFOHEADER",
    52: "BITMAPV2INFOHEADER",
    56: "BITMAPV3INFOHEADER",
    64: "OS22XBITMAPHEADER",
    108: "BITMAPV4HEADER",
    124: "BITMAPV5HEADER",
}
_OS2 = 12
_V5 = 124
_BIT_FIELDS = 3
_RAW = (0, _BIT_FIELDS, 6)
"""Ways of coding whose rows have a fixed length."""


def parts(data: bytes) -> tuple[str, ...]:
    """Return the names of the parts in their order."""
    header = _number(data, 14, 4)
    table = ("palette",) if _table(data) else ()
    profile = ("profile",) if _profile(data) else ()
    return ("BITMAPFILEHEADER", _NAMES.get(header, "header"), *table, "pixels", *profile)


def end(data: bytes) -> int | None:
    """Return the offset after the pixels and the colour profile; None if the file ends within them."""
    last = max(_number(data, 10, 4) + _pixels(data), _profile(data))
    return last if last <= len(data) else None


def findings(image: Image, _names: tuple[str, ...]) -> Iterator[Finding]:
    """Yield what the declared size and a gap before the pixels tell."""
    data = image.data
    declared, needed = _number(data, 2, 4), end(data)
    # Some programs leave the size out or write that of the headers. Others count padding after the pixels.
    usual = declared <= _number(data, 10, 4) or declared == len(data)
    if needed and not (usual or needed <= declared <= needed + 3):
        text = (
            f"The header declares a file of {declared:,} bytes, and the picture needs {needed:,}: a program "
            "changed the picture and not the header, or wrote it wrongly."
        )
        yield Finding(text, INCOHERENT)
    start = _FILE_HEADER + _number(data, 14, 4) + _masks(data) + _table(data)
    if between := len(data[start : _number(data, 10, 4)].strip(b"\0")):
        text = f"{between:,} bytes before the pixels belong to no part: decoders ignore them."
        yield Finding(text, INCOHERENT)


def _number(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(data[place : place + size], "little")


def _bits(data: bytes) -> int:
    return _number(data, 24 if _number(data, 14, 4) == _OS2 else 28, 2)


def _coding(data: bytes) -> int:
    return 0 if _number(data, 14, 4) == _OS2 else _number(data, 30, 4)


def _masks(data: bytes) -> int:
    """Return the bytes of the bit masks that follow the oldest Windows header."""
    return {_BIT_FIELDS: 12, 6: 16}.get(_coding(data), 0) if _number(data, 14, 4) == 40 else 0


def _table(data: bytes) -> int:
    """Return the bytes of the colour table."""
    bits, os2 = _bits(data), _number(data, 14, 4) == _OS2
    colours = 0 if os2 else _number(data, 46, 4)
    if not colours and 0 < bits <= 8:
        colours = 2**bits
    return min(colours, 256) * (3 if os2 else 4)


def _pixels(data: bytes) -> int:
    """Return the bytes of the pixels."""
    if _number(data, 14, 4) == _OS2:
        width, height = _number(data, 18, 2), _number(data, 20, 2)
    else:
        width = _number(data, 18, 4)
        height = abs(int.from_bytes(data[22:26], "little", signed=True))
    if _coding(data) not in _RAW:
        return _number(data, 34, 4)
    return (width * _bits(data) + 31) // 32 * 4 * height


def _profile(data: bytes) -> int:
    """Return the offset after the colour profile; 0 without one."""
    if _number(data, 14, 4) != _V5:
        return 0
    place, size = _number(data, 126, 4), _number(data, 130, 4)
    return _FILE_HEADER + place + size if size else 0
