"""Everything that a file states about itself, as one list of entries, whatever part of it is damaged.

stated = read(image)
stated.first("EXIF", "Software"), stated.values("XMP", "DigitalSourceType")
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from typing import Any

import exifread
import PIL.ImageCms
from PIL.ExifTags import GPS, GPSTAGS, TAGS, Interop
from PIL.ExifTags import Base as ExifTags

from tamperscope.evidence._once import once_per_image
from tamperscope.evidence.metadata import embedded, hidden_text, ifd, jpeg_headers, photoshop, xmp
from tamperscope.evidence.metadata.blocks import Blocks, read_blocks
from tamperscope.evidence.metadata.embedded import EmbeddedPreview
from tamperscope.images import Image

MOST_ENTRIES = 3000
"""A file can hold more than anyone reads."""
LONGEST_VALUE = 2**16
"""Characters of one entry; workflows of generators are long."""
_LONGEST_OF_ALL = 2**21
_LONGEST_MAKER_NOTE = 2**20
"""Bytes of the EXIF block in which exifread looks for maker notes."""


@dataclass(frozen=True)
class Entry:
    """One thing that the file states."""

    group: str
    """EXIF, GPS, EXIF preview, Maker note, XMP, IPTC, ICC profile, Photoshop, Multi-picture, PNG text, Hidden
    text, JPEG comment, JPEG segment or GIF comment.
    """
    name: str
    """As the group's standard calls it."""
    value: str
    """As the file holds it: untrusted text."""

    @property
    def plain_name(self) -> str:
        """The name without the path and the prefix that XMP's names have."""
        return self.name.rpartition("/")[2].rpartition(":")[2]


@dataclass(frozen=True)
class Metadata:
    """What a file states besides its pixels."""

    entries: tuple[Entry, ...] = ()
    unreadable: tuple[str, ...] = ()
    """Groups of which some part could not be read."""
    silent: tuple[str, ...] = ()
    """Groups of which a block is there that yields nothing: it is empty, overwritten or cannot be read."""
    previews: tuple[EmbeddedPreview, ...] = ()
    position: tuple[float, float] | None = None
    """Latitude and longitude in degrees, north and east positive."""
    gps: bool = False
    """Whether there is a GPS directory, even one without a position."""

    @property
    def bare(self) -> bool:
        """Whether there is nothing but the headers that every encoder of the format writes."""
        plain = all((entry.group, entry.name) in _PLAIN_HEADERS for entry in self.entries)
        return plain and replace(self, entries=()) == NOTHING

    def first(self, group: str, *names: str) -> str:
        """Return the first value in a group under any of the names; empty if there is none."""
        return next(iter(self.values(group, *names)), "")

    def values(self, group: str, *names: str) -> tuple[str, ...]:
        """Return the values in a group under any of the names, which leave out the path and prefix of XMP."""
        return tuple(
            entry.value for entry in self.entries if entry.group == group and entry.plain_name in names
        )


NOTHING = Metadata()
_PLAIN_HEADERS = frozenset((("JPEG segment", "JFIF"), ("JPEG segment", "Adobe")))


@once_per_image
def read(image: Image) -> Metadata:
    """Return the metadata of a file; `NOTHING` for an array. No damage makes it raise."""
    if image.format == "ARRAY":
        return NOTHING
    reading = _Reading()
    blocks = reading.guarded("File", lambda: read_blocks(image))
    if blocks is None:
        return NOTHING
    reading.guarded(hidden_text.GROUP, lambda: reading.add_all(hidden_text.GROUP, hidden_text.read(image)))
    return reading.of(blocks, image)


def read_maker_note(image: Image) -> tuple[Entry, ...]:
    """Return the entries of the maker note, which takes longer than everything else together."""
    blocks = _Reading().guarded("File", lambda: read_blocks(image)) if image.format != "ARRAY" else None
    block = blocks.exif if blocks else b""
    if not 8 < len(block) <= _LONGEST_MAKER_NOTE:
        return ()
    # exifread logs what it cannot decode.
    logging.getLogger("exifread").setLevel(logging.CRITICAL + 1)
    try:
        tags = exifread.process_file(_BoundedFile(block), extract_thumbnail=False)
    except Exception:  # hostile bytes can make it raise anything
        return ()
    return tuple(
        Entry("Maker note", name.removeprefix("MakerNote "), str(value)[:LONGEST_VALUE])
        for name, value in tags.items()
        if name.startswith("MakerNote ")
    )[:MOST_ENTRIES]


_MOST_READS = 400_000
"""Reads of an EXIF block by exifread. Most cameras need a few thousand; one that claims millions of values
would be read value by value.
"""


class _BoundedFile(BytesIO):
    """A file that can be read only so many times."""

    _reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise OverflowError("The EXIF block is read too often.")
        return super().read(size)


class _Reading:
    """Reads the blocks one by one, so that one bad part does not hide the rest."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._unreadable: dict[str, None] = {}
        self._previews: list[EmbeddedPreview] = []
        self._length = 0

    def guarded(self, group: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception:  # the parsers meet hostile bytes
            self._unreadable[group] = None
            return None

    def of(self, blocks: Blocks, image: Image) -> Metadata:
        self._unreadable.update(dict.fromkeys(blocks.damaged))
        exif = self.guarded("EXIF", lambda: list(ifd.read_directories(blocks.exif))) or []
        for each in exif:
            self.guarded("EXIF", lambda each=each: self._add_field(each))  # type: ignore[misc]
        self._add_previews(embedded.EXIF, embedded.in_exif(blocks.exif, exif))
        if image.format != "TIFF":  # there the block is the whole file, with its coded pixels
            self._add_previews(embedded.MAKER_NOTE, embedded.in_maker_note(blocks.exif, exif))
        for packet in blocks.xmp:
            self.guarded("XMP", lambda packet=packet: self._add_xmp(packet))  # type: ignore[misc]
        self.guarded("IPTC", lambda: self.add_all("IPTC", photoshop.read_iptc(blocks.iptc)))
        self.guarded("Photoshop", lambda: self._add_photoshop(blocks.photoshop))
        for text in blocks.texts:
            self._add(text.place, text.keyword or "Comment", text.value)
        self.guarded("ICC profile", lambda: self._add_icc(blocks.icc))
        self.guarded("JPEG segment", lambda: self.add_all("JPEG segment", jpeg_headers.read(blocks.segments)))
        self.guarded("Multi-picture", lambda: self._add_mpf(blocks.mpf))
        listed = embedded.in_multi_picture(blocks.mpf, blocks.mpf_start, image.data)
        self._add_previews(embedded.MULTI_PICTURE, listed)
        if image.format in ("HEIF", "AVIF"):
            self._add_previews(embedded.THUMBNAIL_ITEM, embedded.in_boxes(image.data))
        place = {each.tag: each.value for each in exif if each.directory == ifd.GPS}
        return Metadata(
            entries=tuple(self._entries),
            unreadable=tuple(self._unreadable),
            silent=tuple(self._silent(blocks, exif)),
            previews=tuple(self._previews),
            position=_position(place),
            gps=bool(place),
        )

    def _silent(self, blocks: Blocks, exif: list[ifd.Field]) -> Iterator[str]:
        """Yield the groups of which a block is there, but neither an entry nor a preview nor an error."""
        present = {
            "EXIF": blocks.exif,
            "XMP": b"".join(blocks.xmp),
            "Photoshop": blocks.photoshop,
            "Multi-picture": blocks.mpf,
        }
        yielded = {entry.group for entry in self._entries} | {each.place for each in self._previews}
        if exif:
            yielded.add("EXIF")
        if next(photoshop.read_resources(blocks.photoshop), None):
            yielded.add("Photoshop")
        for group, block in present.items():
            if block and group not in yielded and group not in self._unreadable:
                yield group

    def _add(self, group: str, name: str, value: str) -> None:
        value = value[:LONGEST_VALUE].strip("\0 \r\n\t")
        if value and len(self._entries) < MOST_ENTRIES and self._length < _LONGEST_OF_ALL:
            self._length += len(value)
            self._entries.append(Entry(group, name[:200], value))

    def add_all(self, group: str, found: Iterator[tuple[str, str]]) -> None:
        for name, value in found:
            self._add(group, name, value)

    def _add_field(self, field: ifd.Field) -> None:
        if field.tag in _BLOCKS:
            return
        group, names = _GROUPS[field.directory]
        name = names.get(field.tag) or f"Tag 0x{field.tag:04x}"
        self._add(group, name, _written(field))

    def _add_previews(self, place: str, found: Iterator[EmbeddedPreview]) -> None:
        self.guarded(place, lambda: self._previews.extend(found))

    def _add_xmp(self, packet: bytes) -> None:
        for name, value in xmp.read_packet(packet):
            if name.endswith("xmpGImg:image"):
                try:
                    picture = base64.b64decode(value)
                except ValueError:
                    # Characters that are not ASCII raise it as such, wrong padding as binascii.Error.
                    continue
                self._previews.append(EmbeddedPreview(embedded.XMP, picture))
            else:
                self._add("XMP", name, value)

    def _add_photoshop(self, block: bytes) -> None:
        for number, data in photoshop.read_resources(block):
            if number == photoshop.THUMBNAIL:
                self._previews.append(EmbeddedPreview(embedded.PHOTOSHOP, photoshop.thumbnail(data)))

    def _add_icc(self, profile: bytes) -> None:
        if profile:
            read = PIL.ImageCms.ImageCmsProfile(BytesIO(profile)).profile
            self._add("ICC profile", "Description", read.profile_description or "")
            self._add("ICC profile", "Copyright", read.copyright or "")

    def _add_mpf(self, block: bytes) -> None:
        for each in ifd.read_directories(block):
            if each.tag == _NUMBER_OF_IMAGES and each.directory == ifd.MAIN:
                self._add("Multi-picture", "NumberOfImages", _written(each))


_NUMBER_OF_IMAGES = 0xB001
_BLOCKS = frozenset((700, 33723, 34377, 34675, ExifTags.MakerNote, *ifd.DECODERS_ONLY))
_INTEROP = {tag.value: tag.name for tag in Interop}
_GROUPS: dict[str, tuple[str, dict[int, str]]] = {
    ifd.MAIN: ("EXIF", TAGS),
    ifd.CAPTURE: ("EXIF", TAGS),
    ifd.GPS: ("GPS", GPSTAGS),
    ifd.INTEROP: ("EXIF", _INTEROP),
    ifd.THUMBNAIL: ("EXIF preview", TAGS),
}
_WIDE_TEXT = frozenset(
    (ExifTags.XPTitle, ExifTags.XPComment, ExifTags.XPAuthor, ExifTags.XPKeywords, ExifTags.XPSubject)
)


def _written(field: ifd.Field) -> str:
    """Return a value as text."""
    value = field.value
    if isinstance(value, bytes):
        if field.tag in _WIDE_TEXT:
            return value.decode("utf-16-le", "replace")
        if field.tag in (ExifTags.UserComment, GPS.GPSProcessingMethod, GPS.GPSAreaInformation):
            return _commented(value)
        return _decoded(value)
    if isinstance(value, tuple):
        return ", ".join(map(_number, value))
    return _number(value)


def _number(value: object) -> str:
    if isinstance(value, Fraction):
        return (
            str(value)
            if value.denominator == 1 or (abs(value) < 1 and value.numerator == 1)
            else f"{float(value):.6g}"
        )
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _commented(value: bytes) -> str:
    """Return a text behind its character code (CIPA DC-008, 4.6.6). Programs disagree on the byte order."""
    code, text = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        if text.startswith((b"\xff\xfe", b"\xfe\xff")):
            return text.decode("utf-16", "replace")
        little = text[1::2].count(0) >= text[::2].count(0)
        return text.decode("utf-16-le" if little else "utf-16-be", "replace")
    return _decoded(text if code.startswith((b"ASCII", b"\0", b"JIS")) else value)


def _decoded(value: bytes) -> str:
    """Return a text up to its end, or the number of bytes that are no text."""
    text = value.lstrip(b"\0 ").partition(b"\0")[0]
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        pass
    printable = sum(32 <= byte < 127 for byte in text)
    return text.decode("latin-1") if printable > 0.8 * len(text) else f"{len(value)} bytes"


def _position(place: dict[int, Any]) -> tuple[float, float] | None:
    try:
        degrees = [
            sum(float(part) / 60**power for power, part in enumerate(place[tag]))
            for tag in (GPS.GPSLatitude, GPS.GPSLongitude)
        ]
        references = [bytes(place.get(tag, b"")) for tag in (GPS.GPSLatitudeRef, GPS.GPSLongitudeRef)]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    latitude, longitude = degrees
    # Written so that it also excludes NaN.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    south, west = references[0].startswith(b"S"), references[1].startswith(b"W")
    return (-latitude if south else latitude), (-longitude if west else longitude)
