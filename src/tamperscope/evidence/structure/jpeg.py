"""The segments of a JPEG (ITU-T T.81, B.1, and CIPA DC-008, 4.5.4)."""

from __future__ import annotations

from collections.abc import Iterator

from tamperscope.evidence import metadata
from tamperscope.evidence.structure.finding import RESAVED, Finding
from tamperscope.images import Image, jpeg_segments

_NAMES = {0xC4: "DHT", 0xDB: "DQT", 0xDD: "DRI", 0xDA: "SOS", 0xFE: "COM"}
_MOST_SEGMENTS = 100


def parts(data: bytes) -> tuple[str, ...]:
    """Return the names of the segments up to the first scan."""
    names = []
    for marker, start, end in jpeg_segments(data):
        content = data[start + 4 : min(end, start + 40)]
        names.append(_segment_name(marker, content))
        if marker == 0xDA or len(names) >= _MOST_SEGMENTS:
            break
    return tuple(names)


def end(data: bytes) -> int | None:
    """Return the offset after the end of the picture; None if the file ends within it."""
    last = max((end for _, _, end in jpeg_segments(data)), default=2)
    return last + 2 if data[last : last + 2] == b"\xff\xd9" else None


def findings(image: Image, segments: tuple[str, ...]) -> Iterator[Finding]:
    """Yield what the segments tell."""
    camera = bool(metadata.read(image).first("EXIF", "Make"))
    if camera and any(name in segments for name in ("SOF2", "SOF10")):
        text = "The picture is coded progressively, as hardly any camera does: a program saved it again."
        yield Finding(text, RESAVED)
    if camera and segments[:2] == ("APP0 JFIF", "APP1 EXIF"):
        yield Finding("A JFIF header stands before EXIF: some phones and many programs write it so.")
    if any(name in ("APP13 Photoshop", "APP14 Adobe") for name in segments):
        yield Finding("The file holds segments that programs of Adobe and others like them write.")
    if between := _between(image.data):
        text = (
            f"{between:,} bytes between the segments belong to none of them: a program that changed the "
            "metadata probably left them."
        )
        yield Finding(text, RESAVED)


def _between(data: bytes) -> int:
    """Return how many bytes before the first scan lie between segments, fill bytes and zeros aside."""
    count, position = 0, 2
    for number, (marker, start, end) in enumerate(jpeg_segments(data)):
        count += len(data[position:start].strip(b"\0\xff"))
        position = end
        if marker == 0xDA or number >= _MOST_SEGMENTS:
            break
    return count


def _segment_name(marker: int, content: bytes) -> str:
    if not 0xE0 <= marker <= 0xEF:
        return _NAMES.get(marker) or (f"SOF{marker - 0xC0}" if 0xC0 <= marker <= 0xCF else f"{marker:02X}")
    known = ((b"JFIF", "JFIF"), (b"Exif", "EXIF"), (b"http://ns.adobe.com/x", "XMP"), (b"ICC_PROFILE", "ICC"))
    named = (*known, (b"Photoshop", "Photoshop"), (b"Adobe", "Adobe"), (b"MPF", "MPF"), (b"JP", "JUMBF"))
    short = next((name for start, name in named if content.startswith(start)), "")
    return f"APP{marker - 0xE0} {short}".strip()
