"""How a file is built: the order of its segments, how it was coded, and what follows the picture.

A file that a device wrote and no program saved again has the order of the device. Data after the end of a
picture is invisible, and decoders ignore it. JPEG: ITU-T T.81, B.1, and CIPA DC-008, 4.5.4. PNG: W3C PNG 3,
5.6. WebP: RFC 9649.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tamperscope.evidence import metadata
from tamperscope.evidence.metadata.blocks import read_blocks
from tamperscope.images import Image, jpeg_segments
from tamperscope.report import NOTABLE, Evidence, Explanation

NAME = "structure"
EXPLANATION = Explanation(
    what_you_see="How the file is built: the order of its parts, how the picture was coded, and whether "
    "anything follows the end of the picture.",
    what_it_can_mean="Parts in an order that cameras do not write, or progressive coding in a file that "
    "names a camera, show that a program saved the file again. Data after the end may be a video or a second "
    "picture of the phone, or something that someone hid there.",
    what_it_cannot="Saving again is not manipulating: websites, messengers and viewers do it with every "
    "picture. Phones write such files too, and an appended archive does not change what the picture shows.",
)

_HIDDEN, _INCOHERENT, _RESAVED, _PLAIN = NOTABLE, 0.3, 0.2, 0.0


@dataclass(frozen=True)
class _Finding:
    sentence: str
    strength: float


def measure(image: Image) -> Evidence:
    """Return what the structure of the file reveals; there is no map.

    The details are `{"segments": [...], "trailing": bytes}`: names of a JPEG's segments up to its first scan,
    and the number of bytes after the end of the picture.
    """
    if image.format not in _ENDS:
        reason = "The structure of this format is not examined."
        return Evidence(NAME, EXPLANATION, reason, None)
    end = _end(image)
    segments = _segments(image) if image.format == "JPEG" else ()
    findings = [*_on_trailing(image, end), *(_on_jpeg(image, segments) if segments else ())]
    findings = findings or [_Finding("The file is built as usual, and nothing follows the picture.", _PLAIN)]
    return Evidence(
        NAME,
        EXPLANATION,
        " ".join(finding.sentence for finding in findings),
        max(finding.strength for finding in findings),
        details={
            "segments": list(segments),
            "trailing": len(image.data) - end if end is not None else 0,
        },
    )


# What follows the picture


def _end_of_jpeg(data: bytes) -> int | None:
    end = max((end for _, _, end in jpeg_segments(data)), default=2)
    return end + 2 if data[end : end + 2] == b"\xff\xd9" else None


def _end_of_png(data: bytes) -> int | None:
    position = 8
    while position + 12 <= len(data):
        kind = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4])
        if kind == b"IEND":
            return min(position, len(data))
    return None


def _end_of_webp(data: bytes) -> int | None:
    length = int.from_bytes(data[4:8], "little")
    end = 8 + length + length % 2
    return min(end, len(data)) if 8 + length <= len(data) else None


_ENDS = {"JPEG": _end_of_jpeg, "PNG": _end_of_png, "WEBP": _end_of_webp}


def _end(image: Image) -> int | None:
    """Return the offset after the end of the picture; None if the file ends within it."""
    return _ENDS[image.format](image.data)


_ARCHIVES = (
    (b"PK\x03\x04", "an archive (ZIP)"),
    (b"PK\x05\x06", "an archive (ZIP)"),
    (b"Rar!\x1a\x07", "an archive (RAR)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (b"\x1f\x8b\x08", "an archive (gzip)"),
    (b"%PDF-", "a document (PDF)"),
    (b"MZ\x90\0", "a program (Windows)"),
    (b"\x7fELF", "a program (Linux)"),
    (b"#!/", "a script"),
    (b"<?php", "a script (PHP)"),
)
_DEVICES = (
    (b"SEFT", "data of a Samsung phone"),
    (b"QDIOBS", "data of a Samsung phone"),
    (b"MotionPhoto_Data", "the video of a motion photo"),
    (b"ftypmp42", "the video of a motion photo"),
    (b"ftypisom", "the video of a motion photo"),
    (b"ftypqt", "the video of a motion photo"),
    (b"CANON OPTIONAL DATA", "data of a Canon camera"),
    (b"cbipcbbl", "data of Photo Mechanic"),
    (b"vivo{", "data of a vivo phone"),
)
_LOOKED_AT = 4096
"""Bytes at both ends of what follows the picture."""
_PADDING = b"\0\xff \r\n\t"


def _on_trailing(image: Image, end: int | None) -> Iterator[_Finding]:
    if end is None:
        yield _Finding("The file ends within the picture: its end was cut off or lost.", _INCOHERENT)
        return
    data = image.data
    first, last = data[end : end + _LOOKED_AT], data[max(end, len(data) - _LOOKED_AT) :]
    if len(data) == end or (not first.strip(_PADDING) and not last.strip(_PADDING)):
        return
    following = len(data) - end
    count = f"{following:,} bytes follow the end of the picture"
    content = first.lstrip(_PADDING.replace(b"\xff", b""))
    for mark, what in _ARCHIVES:
        # The directory of a ZIP file stands at its end.
        if content.startswith(mark) or (mark == b"PK\x05\x06" and mark in last):
            yield _Finding(f"{count}: {what}, which cameras do not append.", _HIDDEN)
            return
    for mark, what in _DEVICES:
        if mark in first or mark in last:
            yield _Finding(f"{count}: {what}.", _PLAIN)
            return
    if b"\xff\xd8\xff" in first:
        listed = " that the file lists" if read_blocks(image).mpf else ""
        yield _Finding(f"{count}: a further picture{listed}, such as a large preview.", _PLAIN)
    else:
        text = f"{count}, of an unknown kind. Many cameras leave remnants of their memory there."
        yield _Finding(text, _PLAIN)


# The segments of a JPEG


_NAMES = {0xC4: "DHT", 0xDB: "DQT", 0xDD: "DRI", 0xDA: "SOS", 0xFE: "COM"}
_MOST_SEGMENTS = 100


def _segments(image: Image) -> tuple[str, ...]:
    """Return the names of the segments up to the first scan."""
    names = []
    for marker, start, end in jpeg_segments(image.data):
        content = image.data[start + 4 : min(end, start + 40)]
        names.append(_segment_name(marker, content))
        if marker == 0xDA or len(names) >= _MOST_SEGMENTS:
            break
    return tuple(names)


def _segment_name(marker: int, content: bytes) -> str:
    if not 0xE0 <= marker <= 0xEF:
        return _NAMES.get(marker) or (f"SOF{marker - 0xC0}" if 0xC0 <= marker <= 0xCF else f"{marker:02X}")
    known = ((b"JFIF", "JFIF"), (b"Exif", "EXIF"), (b"http://ns.adobe.com/x", "XMP"), (b"ICC_PROFILE", "ICC"))
    named = (*known, (b"Photoshop", "Photoshop"), (b"Adobe", "Adobe"), (b"MPF", "MPF"), (b"JP", "JUMBF"))
    short = next((name for start, name in named if content.startswith(start)), "")
    return f"APP{marker - 0xE0} {short}".strip()


def _on_jpeg(image: Image, segments: tuple[str, ...]) -> Iterator[_Finding]:
    camera = bool(metadata.read(image).first("EXIF", "Make"))
    if camera and any(name in segments for name in ("SOF2", "SOF10")):
        text = "The picture is coded progressively, as hardly any camera does: a program saved it again."
        yield _Finding(text, _RESAVED)
    if camera and segments[:2] == ("APP0 JFIF", "APP1 EXIF"):
        text = "A JFIF header stands before EXIF: some phones and many programs write it so."
        yield _Finding(text, _PLAIN)
    if any(name in ("APP13 Photoshop", "APP14 Adobe") for name in segments):
        yield _Finding("The file holds segments that programs of Adobe and others like them write.", _PLAIN)
