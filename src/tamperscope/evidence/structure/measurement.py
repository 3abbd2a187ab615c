"""How a file is built, as evidence.

A file that a device wrote and no program saved again has the order of the device. Data after the end of a
picture is invisible, and decoders ignore it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

from tamperscope.evidence import metadata
from tamperscope.evidence.metadata.marks import platform_of_size
from tamperscope.evidence.structure import bmp, boxes, gif, jpeg, png, tiff, webp
from tamperscope.evidence.structure.finding import RESAVED, Finding
from tamperscope.evidence.structure.trailing import on_trailing
from tamperscope.images import Image
from tamperscope.report import Evidence, Explanation

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


@dataclass(frozen=True)
class _Format:
    """What is known of one format."""

    parts: Callable[[bytes], tuple[str, ...]]
    """Names of the parts of a file, in their order, bounded in number."""
    end: Callable[[bytes], int | None]
    """Offset after the end of the picture; None if the file ends within it."""
    findings: Callable[[Image, tuple[str, ...]], Iterator[Finding]]
    """What the parts tell."""

    @classmethod
    def of(cls, module: ModuleType) -> _Format:
        return cls(module.parts, module.end, module.findings)


_FORMATS = {
    "JPEG": _Format.of(jpeg),
    "PNG": _Format.of(png),
    "WEBP": _Format.of(webp),
    "HEIF": _Format.of(boxes),
    "AVIF": _Format.of(boxes),
    "TIFF": _Format.of(tiff),
    "GIF": _Format.of(gif),
    "BMP": _Format.of(bmp),
}


def measure(image: Image) -> Evidence:
    """Return what the structure of the file reveals; there is no map.

    The details are `{"segments": [...], "trailing": bytes}`: names of a JPEG's segments up to its first scan,
    of the chunks of a PNG or WebP, of the boxes of a HEIF or AVIF, of the blocks of a GIF, or of the parts of
    a TIFF or BMP; and the number of bytes after the end of the picture.
    """
    known = _FORMATS.get(image.format)
    if known is None:
        reason = "There is no file whose structure could be examined."
        return Evidence(NAME, EXPLANATION, reason, None)
    end = known.end(image.data)
    parts = known.parts(image.data)
    findings = [
        *on_trailing(image, end),
        *known.findings(image, parts),
        *_on_format(image),
        *_on_size(image),
    ] or [Finding("The file is built as usual, and nothing follows the picture.")]
    return Evidence(
        NAME,
        EXPLANATION,
        " ".join(finding.sentence for finding in findings),
        max(finding.strength for finding in findings),
        details={
            "segments": list(parts),
            "trailing": len(image.data) - end if end is not None else 0,
        },
    )


_NOT_OF_CAMERAS = {"PNG": "PNG", "WEBP": "WebP", "AVIF": "AVIF"}


def _on_format(image: Image) -> Iterator[Finding]:
    """Yield that the metadata names a camera, in a format that cameras do not write."""
    name = _NOT_OF_CAMERAS.get(image.format)
    stated = metadata.read(image)
    if name and stated.first("EXIF", "Make") and stated.first("EXIF", "ExposureTime"):
        text = (
            f"The metadata is that of a photo, and hardly any camera writes {name}: a program converted it."
        )
        yield Finding(text, RESAVED)


def _on_size(image: Image) -> Iterator[Finding]:
    """Yield that a picture without metadata has a size to which platforms reduce pictures."""
    longer = max(image.width, image.height)
    usual = platform_of_size(longer) if image.format in ("JPEG", "WEBP") else ""
    if usual and metadata.read(image).bare:
        text = (
            f"The picture has no metadata, and its longer side has {longer:,} pixels, a size that platforms "
            f"use ({usual}). Other programs use it too."
        )
        yield Finding(text)
