"""Where each format keeps metadata: the blocks of a file, unread.

    blocks = read_blocks(image)
    blocks.exif, blocks.xmp, blocks.texts

JPEG: ITU-T T.81 and T.871, with EXIF, XMP, Photoshop, ICC and MPF segments. PNG: W3C PNG 3. WebP: RFC 9649.
GIF: GIF89a. Pillow and libheif find the blocks of HEIF and AVIF. Each search is bounded, and damage ends only
that search.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pi_heif
import PIL.Image

from tamperscope.evidence.metadata import ifd, photoshop
from tamperscope.images import Image, jpeg_segments

LONGEST_TEXT = 2**20
"""Bytes of one text, after decompression. Workflows of generators have tens of thousands."""
MOST_TEXTS = 200
_LONGEST_BLOCK = 2**23
"""Bytes of one block. Longer ones hold pictures."""


@dataclass(frozen=True)
class Text:
    """A text of a PNG, or a comment of a JPEG or a GIF."""

    place: str
    """`PNG text`, `JPEG comment` or `GIF comment`."""
    keyword: str
    value: str


@dataclass(frozen=True)
class Blocks:
    """The blocks of one file; empty where the file has none."""

    exif: bytes
    """From the TIFF header on; of a TIFF, the whole file."""
    xmp: tuple[bytes, ...]
    photoshop: bytes
    iptc: bytes
    icc: bytes
    mpf: bytes
    """The multi-picture index (CIPA DC-007), from its TIFF header on."""
    mpf_start: int
    """Offset of that header in the file, from which the index counts."""
    texts: tuple[Text, ...]
    segments: tuple[tuple[str, bytes], ...]
    """Name and start of each of a JPEG's application segments, in the order of the file."""
    damaged: tuple[str, ...]
    """Groups, as entries name them, of which a block is there and cannot be unpacked."""


def read_blocks(image: Image) -> Blocks:
    """Return the blocks of an image file; those before the damage, where a file is damaged."""
    found = _Found()
    reader = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif, "TIFF": _tiff}.get(image.format)
    if reader:
        reader(image.data, found)
    elif image.format in ("HEIF", "AVIF"):
        _boxes(image, found)
    for number, data in photoshop.read_resources(found.photoshop):
        if number == photoshop.IPTC and not found.iptc:
            found.iptc = data
    return Blocks(
        found.exif,
        tuple(found.xmp),
        found.photoshop,
        found.iptc,
        found.icc,
        found.mpf,
        found.mpf_start,
        tuple(found.texts),
        tuple(found.segments),
        tuple(dict.fromkeys(found.damaged)),
    )


@dataclass
class _Found:
    """The blocks found so far."""

    exif: bytes = b""
    xmp: list[bytes] = field(default_factory=list)
    photoshop: bytes = b""
    iptc: bytes = b""
    icc: bytes = b""
    mpf: bytes = b""
    mpf_start: int = 0
    texts: list[Text] = field(default_factory=list)
    segments: list[tuple[str, bytes]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


# JPEG

_XMP, _EXTENDED_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_ICC, _PHOTOSHOP = b"ICC_PROFILE\0", b"Photoshop 3.0\0"
_FULL_SEGMENT = 65_000
_START_OF_SEGMENT = 40
_COMMENT = 0xFE


def _jpeg(data: bytes, found: _Found) -> None:
    extended: list[tuple[int, bytes]] = []
    whole = False
    for marker, start, end in jpeg_segments(data):
        content = data[start + 4 : end]
        if marker == _COMMENT:
            _add_text(found, "JPEG comment", "", content)
        elif not 0xE0 <= marker <= 0xEF:
            continue
        elif content.startswith(b"Exif\0"):
            # A block of more than 64 kB goes on in the segment after a full one.
            if not found.exif or not whole:
                found.exif = found.exif or content[6:].removeprefix(b"Exif\0\0")
            elif len(found.exif) < _LONGEST_BLOCK:
                found.exif += content[6:]
            whole = len(content) > _FULL_SEGMENT
        elif content.startswith(_XMP):
            found.xmp.append(content[len(_XMP) :])
        elif content.startswith(_EXTENDED_XMP):
            place = len(_EXTENDED_XMP) + 40
            extended.append((int.from_bytes(content[place - 4 : place]), content[place:]))
        elif content.startswith(_ICC):
            found.icc += content[len(_ICC) + 2 :]
        elif content.startswith(_PHOTOSHOP) and len(found.photoshop) < _LONGEST_BLOCK:
            found.photoshop += content[len(_PHOTOSHOP) :]
        elif content.startswith(b"MPF\0"):
            found.mpf, found.mpf_start = content[4:], start + 8
        if 0xE0 <= marker <= 0xEF and len(found.segments) < MOST_TEXTS:
            found.segments.append((f"APP{marker - 0xE0}", content[:_START_OF_SEGMENT]))
    if extended:
        found.xmp.append(b"".join(part for _, part in sorted(extended))[:_LONGEST_BLOCK])


# PNG


def _png(data: bytes, found: _Found) -> None:
    for kind, content in _chunks(data):
        keyword, _, rest = content[: LONGEST_TEXT + 100].partition(b"\0")
        name = keyword.decode("latin-1")
        if kind == b"tEXt":
            _add_png_text(found, name, rest)
        elif kind == b"zTXt":
            _add_png_text(found, name, _inflated(rest[1:], "PNG text", found))
        elif kind == b"iTXt":
            compressed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
            _add_png_text(found, name, _inflated(text, "PNG text", found) if compressed else text)
        elif kind == b"eXIf" and not found.exif:
            found.exif = content[:_LONGEST_BLOCK]
        elif kind == b"iCCP":
            found.icc = _inflated(rest[1:], "ICC profile", found)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 8
    while position + 12 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        yield kind, data[position + 8 : position + 8 + length] if kind != b"IDAT" else b""
        position += 12 + length
        if kind == b"IEND":
            return


_RAW_PROFILE = "Raw profile type "


def _add_png_text(found: _Found, name: str, content: bytes) -> None:
    if name == "XML:com.adobe.xmp":
        found.xmp.append(content)
    elif name.startswith(_RAW_PROFILE):
        _add_profile(found, name.removeprefix(_RAW_PROFILE).lower(), content)
    else:
        _add_text(found, "PNG text", name, content)


def _add_profile(found: _Found, kind: str, content: bytes) -> None:
    """Add a block that ImageMagick or exiftool wrote as text: name, length, hexadecimal digits."""
    parts = content.split(None, 2)
    try:
        # Something else may follow the digits.
        block = binascii.unhexlify(b"".join(parts[2].split())[: 2 * int(parts[1])])
    except (IndexError, ValueError):
        found.damaged.append("PNG text")
        return
    if kind == "xmp" or block.startswith(_XMP):
        found.xmp.append(block.removeprefix(_XMP))
    elif kind in ("exif", "app1"):
        found.exif = found.exif or block.removeprefix(b"Exif\0\0")
    elif kind in ("iptc", "8bim"):
        found.photoshop = found.photoshop or block.removeprefix(_PHOTOSHOP)
    elif kind in ("icc", "icm"):
        found.icc = found.icc or block


def _inflated(content: bytes, group: str, found: _Found) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, LONGEST_TEXT)
    except zlib.error:
        found.damaged.append(group)
        return b""


# Other formats


def _webp(data: bytes, found: _Found) -> None:
    position = 12
    while position + 8 <= len(data):
        kind, length = (
            data[position : position + 4],
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        content = data[position + 8 : position + 8 + min(length, _LONGEST_BLOCK)]
        if kind == b"EXIF":
            found.exif = content.removeprefix(b"Exif\0\0")
        elif kind == b"XMP ":
            found.xmp.append(content)
        elif kind == b"ICCP":
            found.icc = content
        position += 8 + length + length % 2


_GIF_XMP = b"!\xff\x0bXMP DataXMP"
_GIF_XMP_END = b"\x01\xff\xfe"
_GIF_COMMENT = re.compile(rb"!\xfe[\x01-\xff]", re.DOTALL)
_MOST_GIF_COMMENTS = 10_000
"""Places that look like the start of a comment. Compressed pixels of a real file hold a few hundred."""


def _gif(data: bytes, found: _Found) -> None:
    start = data.find(_GIF_XMP)
    if start >= 0:
        end = data.find(_GIF_XMP_END, start)
        found.xmp.append(data[start + len(_GIF_XMP) : end if end >= 0 else None][:_LONGEST_BLOCK])
    position = 0
    for _ in range(_MOST_GIF_COMMENTS):
        introducer = _GIF_COMMENT.search(data, position)
        if introducer is None:
            return
        position, comment = introducer.start() + 2, bytearray()
        while (length := int.from_bytes(data[position : position + 1])) and len(comment) < LONGEST_TEXT:
            comment += data[position + 1 : position + 1 + length]
            position += 1 + length
        # Compressed pixels can look like the start of a comment.
        if comment.isascii() and comment.translate(None, b"\t\n\r").decode().isprintable():
            _add_text(found, "GIF comment", "", bytes(comment))
        if len(found.texts) >= MOST_TEXTS:
            return


_TIFF_BLOCKS = {700: "xmp", 33723: "iptc", 34377: "photoshop", 34675: "icc"}


def _tiff(data: bytes, found: _Found) -> None:
    found.exif = data
    for each in ifd.read_directories(data):
        name = _TIFF_BLOCKS.get(each.tag)
        if each.directory != ifd.MAIN or name is None or not isinstance(each.value, bytes):
            continue
        if name == "xmp":
            found.xmp.append(each.value)
        else:
            setattr(found, name, each.value)


def _boxes(image: Image, found: _Found) -> None:
    with PIL.Image.open(BytesIO(image.data), formats=(image.format,)) as picture:
        info: dict[Any, Any] = dict(picture.info)
    exif = info.get("exif")
    if image.format == "HEIF":
        # Pillow's plugin writes an orientation of its own into the block.
        exif = pi_heif.open_heif(BytesIO(image.data)).info.get("exif")
    found.exif = bytes(exif or b"")[:_LONGEST_BLOCK].removeprefix(b"Exif\0\0")
    if xmp := info.get("xmp"):
        found.xmp.append(bytes(xmp)[:_LONGEST_BLOCK])
    found.icc = bytes(info.get("icc_profile") or b"")[:_LONGEST_BLOCK]


def _add_text(found: _Found, place: str, keyword: str, content: bytes) -> None:
    content = content[:LONGEST_TEXT]
    if len(found.texts) >= MOST_TEXTS or sum(len(text.value) for text in found.texts) > 4 * LONGEST_TEXT:
        return
    try:
        value = content.decode("utf-8")
    except UnicodeDecodeError:
        value = content.decode("latin-1")
    found.texts.append(Text(place, keyword, value.strip("\0 \n\r\t")))
