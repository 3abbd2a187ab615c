"""The small pictures that cameras and programs put into a file, and where each part of a file keeps them.

EXIF: CIPA DC-008, 4.6.2. Multi-picture index: CIPA DC-007. HEIF and AVIF: ISO/IEC 23008-12, 6.4.4 (`thmb`).
Makers have no common form for the preview in a maker note, but all of them store a JPEG. A gain map, a depth
map or a second view is not a preview.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL.ExifTags import Base as ExifTags

from tamperscope.evidence._boxes import Box, boxes, meta_boxes
from tamperscope.evidence.metadata import ifd
from tamperscope.images import jpeg_segments

EXIF, MAKER_NOTE, MULTI_PICTURE, THUMBNAIL_ITEM, PHOTOSHOP, XMP = (
    "EXIF",
    "Maker note",
    "Multi-picture",
    "HEIF thumbnail",
    "Photoshop",
    "XMP",
)
"""Places of previews."""
_MOST = 2
"""Previews of one place."""


@dataclass(frozen=True)
class EmbeddedPreview:
    """A small picture inside the file, not decoded."""

    place: str
    """`EXIF`, `Maker note`, `Multi-picture`, `HEIF thumbnail`, `Photoshop` or `XMP`."""
    data: bytes
    """An image file. Of a HEIF or AVIF file, a copy whose main picture is the thumbnail."""


def in_exif(block: bytes, fields: Sequence[ifd.Field]) -> Iterator[EmbeddedPreview]:
    """Yield the thumbnail of an EXIF block, given with its fields."""
    start, end = _thumbnail(fields)
    if block[start:end]:
        yield EmbeddedPreview(EXIF, block[start:end])


_START = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
_MOST_STARTS = 30
"""Places that look like the start of a JPEG. Encrypted maker notes hold a few."""
_LONGEST_BLOCK = 2**20


def in_maker_note(block: bytes, fields: Sequence[ifd.Field]) -> Iterator[EmbeddedPreview]:
    """Yield the pictures of an EXIF block, given with its fields, besides its thumbnail.

    Some makers write them after the maker note that points to them.
    """
    if not any(field.tag == ExifTags.MakerNote for field in fields):
        return
    after, yielded = 0, 0
    thumbnail = range(*_thumbnail(fields))
    for found in itertools.islice(_START.finditer(block[:_LONGEST_BLOCK]), _MOST_STARTS):
        start = found.start()
        if start < after or start in thumbnail:
            continue
        length = _jpeg_length(block[start:])
        if length and yielded < _MOST:
            yield EmbeddedPreview(MAKER_NOTE, block[start : start + length])
            after, yielded = start + length, yielded + 1


def _thumbnail(fields: Sequence[ifd.Field]) -> tuple[int, int]:
    """Return the offsets at which the thumbnail of an EXIF block starts and ends; equal ones without one."""
    found = {field.tag: field.value for field in fields if field.directory == ifd.THUMBNAIL}
    offset, length = found.get(ExifTags.JpegIFOffset), found.get(ExifTags.JpegIFByteCount)
    return (offset, offset + length) if isinstance(offset, int) and isinstance(length, int) else (0, 0)


def _jpeg_length(data: bytes) -> int:
    """Return the length of the JPEG that data begin with; 0 if they do not hold a whole one."""
    segments = list(jpeg_segments(data))
    end = max((end for _, _, end in segments), default=2)
    whole = data[end : end + 2] == b"\xff\xd9" and {_SOF, _SOS} <= {marker for marker, _, _ in segments}
    return end + 2 if whole else 0


_SOF, _SOS = 0xC0, 0xDA
"""Markers of a baseline frame and of a scan (ITU-T T.81, B.1)."""


_MP_ENTRIES = 0xB002
_MP_ENTRY = 16
_MP_TYPE = 0x00FFFFFF
_LARGE_THUMBNAIL = 0x01
"""The upper byte of the types of previews, whatever their class. Gain maps have type 0, other views 2."""


def in_multi_picture(index: bytes, start: int, data: bytes) -> Iterator[EmbeddedPreview]:
    """Yield the previews that the multi-picture index at an offset of a file lists."""
    order = ">" if index.startswith(b"MM") else "<"
    listed = next((each.value for each in ifd.read_directories(index) if each.tag == _MP_ENTRIES), b"")
    found = 0
    for attribute, length, offset in (
        struct.unpack_from(f"{order}LLL", listed, place)
        for place in range(0, len(listed) - _MP_ENTRY + 1, _MP_ENTRY)
    ):
        picture = data[start + offset : start + offset + length]
        if (attribute & _MP_TYPE) >> 16 == _LARGE_THUMBNAIL and offset and picture and found < _MOST:
            found += 1
            yield EmbeddedPreview(MULTI_PICTURE, picture)


def in_boxes(data: bytes) -> Iterator[EmbeddedPreview]:
    """Yield the thumbnails of the main picture of a HEIF or AVIF file."""
    inside = {box.kind: box for box in meta_boxes(data)}
    main, references = inside.get(b"pitm"), inside.get(b"iref")
    if main is None or references is None:
        return
    place, width, wide = main.start + _HEAD, _item_width(data, main), _item_width(data, references)
    number = data[place : place + width]
    found = 0
    for reference in boxes(data, references.start + _HEAD, min(references.end, len(data))):
        from_item = data[reference.start : reference.start + wide]
        # The number of items that are referred to stands between; a thumbnail refers to one.
        to_item = data[reference.start + wide + 2 : reference.start + wide + 2 + wide]
        thumbnail = reference.kind == b"thmb" and int.from_bytes(to_item) == int.from_bytes(number)
        if thumbnail and found < _MOST:
            found += 1
            chosen = bytearray(data)
            chosen[place : place + width] = from_item.rjust(width, b"\0")[-width:]
            # Decoders do not take what is still a thumbnail for a main picture.
            chosen[reference.start - 4 : reference.start] = _NO_REFERENCE
            yield EmbeddedPreview(THUMBNAIL_ITEM, bytes(chosen))


_HEAD = 4
"""Bytes of the version and the flags of a box."""
_NO_REFERENCE = b"skip"


def _item_width(data: bytes, box: Box) -> int:
    """Return how many bytes the number of an item has in a box: two in version 0, four in later ones."""
    return 2 if data[box.start : box.start + 1] == b"\0" else 4
