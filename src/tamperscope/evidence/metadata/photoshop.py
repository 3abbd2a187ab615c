"""Photoshop's image resources ("8BIM") and the IPTC records inside them (IPTC-NAA IIM 4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

IPTC, THUMBNAIL = 0x0404, 0x040C
"""Numbers of the resources that hold IPTC records and a preview."""
_MOST = 200
_THUMBNAIL_HEADER = 28

_DATASETS = {
    (1, 90): "CodedCharacterSet",
    (2, 5): "ObjectName",
    (2, 25): "Keywords",
    (2, 40): "SpecialInstructions",
    (2, 55): "DateCreated",
    (2, 60): "TimeCreated",
    (2, 62): "DigitalCreationDate",
    (2, 63): "DigitalCreationTime",
    (2, 65): "OriginatingProgram",
    (2, 70): "ProgramVersion",
    (2, 80): "By-line",
    (2, 85): "By-lineTitle",
    (2, 90): "City",
    (2, 92): "Sub-location",
    (2, 95): "Province-State",
    (2, 101): "Country",
    (2, 103): "OriginalTransmissionReference",
    (2, 105): "Headline",
    (2, 110): "Credit",
    (2, 115): "Source",
    (2, 116): "CopyrightNotice",
    (2, 120): "Caption",
    (2, 122): "Writer-Editor",
}
_UTF8 = b"\x1b%G"
_RECORD = re.compile(rb"\x1c[\x01\x02]...", re.DOTALL)
"""The start of a record: marker, record number, dataset and length."""


def read_resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the data of each image resource; of a damaged block, those before the damage."""
    position = 0
    for _ in range(_MOST):
        if block[position : position + 4] != b"8BIM" or position + 12 > len(block):
            return
        number = int.from_bytes(block[position + 4 : position + 6])
        name = 1 + block[position + 6]
        start = position + 6 + name + name % 2
        length = int.from_bytes(block[start : start + 4])
        data = block[start + 4 : start + 4 + length]
        if len(data) < length:
            return
        yield number, data
        position = start + 4 + length + length % 2


def thumbnail(resource: bytes) -> bytes:
    """Return the JPEG in a preview resource."""
    return resource[_THUMBNAIL_HEADER:]


def read_iptc(block: bytes) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each IPTC record; of a damaged block, those before and after the damage.

    Raises `ValueError` after the last record of a damaged block.
    """
    position, coding, damaged = 0, "latin-1", False
    end = len(block.rstrip(b"\0"))
    for _ in range(_MOST):
        if position >= end:
            break
        if not _RECORD.match(block, position):
            damaged = True
            following = _RECORD.search(block, position)
            if following is None:
                break
            position = following.start()
        dataset = block[position + 1], block[position + 2]
        length = int.from_bytes(block[position + 3 : position + 5])
        value = block[position + 5 : position + 5 + length]
        # An extended length is for values that no text has.
        if length & 0x8000 or len(value) < length:
            damaged = True
            position += 1
            continue
        if dataset == (1, 90) and value == _UTF8:
            coding = "utf-8"
        elif name := _DATASETS.get(dataset):
            yield name, _text(value, coding)
        position += 5 + length
    if damaged:
        raise ValueError("The block is damaged.")


def _text(value: bytes, coding: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode(coding, "replace")
