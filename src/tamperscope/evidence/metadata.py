"""What the file says about itself in EXIF (CIPA DC-008), XMP (ISO 16684-1) and IPTC, and what contradicts it.

Metadata is neither protected nor complete: what it says is a lead, what it leaves out means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageFile
import PIL.IptcImagePlugin
from numpy.typing import NDArray
from PIL.ExifTags import Base as ExifTags

from tamperscope.errors import ImageError
from tamperscope.images import Image, read_image
from tamperscope.report import Evidence, Explanation

NAME = "metadata"
EXPLANATION = Explanation(
    what_you_see="What the file's own notes say: device, software, dates, size, and an embedded preview.",
    what_it_can_mean="A preview that shows another picture, an image editor's name, or a declared generator "
    "tell that the file was changed after it was taken, or never taken at all.",
    what_it_cannot="Anybody can write or delete these notes, and most websites delete them. An editor's name "
    "does not say what was edited: cropping and brightening leave the same.",
)

_GENERATED, _OTHER_PREVIEW, _EDITED, _INCOHERENT, _CHANGED, _PLAIN = 0.9, 0.8, 0.4, 0.3, 0.2, 0.0
"""Strengths. Honest pictures pass through editors too often for an editor's name to be notable alone."""

_EDITOR = re.compile(
    r"photoshop|lightroom|gimp|affinity|pixelmator|snapseed|picsart|facetune|faceapp|meitu|paint\.net|"
    r"paintshop|luminar|canva|pixlr|fotor|photoscape|capture one|darktable|corel",
    re.IGNORECASE,
)
_GENERATOR = re.compile(
    r"midjourney|dall[-·]?e\b|stable diffusion|firefly|comfyui|automatic1111|novelai", re.IGNORECASE
)
_XMP_PROGRAM = re.compile(r"(?:CreatorTool|softwareAgent)(?:=\"|>)([^\"<]{1,100})")
_XMP_GENERATED = re.compile(r"digitalsourcetype/(?:composite\w*)?[tT]rainedAlgorithmicMedia")
_IPTC_PROGRAM = (2, 65)
_COMPARED_SIDE = 32
"""Side in pixels to which picture and preview are scaled for comparison."""
_SAME_PICTURE = 0.8
"""Correlation from which a preview shows the picture."""


class _Finding(NamedTuple):
    sentence: str
    strength: float


class _Notes(NamedTuple):
    """What a file says beside its picture."""

    main: Mapping[int, Any]
    """EXIF tags of the picture."""
    capture: Mapping[int, Any]
    """EXIF tags of how it was taken."""
    preview: bytes
    """The embedded thumbnail, a JPEG; empty where there is none."""
    located: bool
    """Whether there is a GPS position."""
    xmp: str
    programs: tuple[str, ...]
    """Every program that EXIF, XMP or IPTC names, each once."""


_NOTHING = _Notes({}, {}, b"", False, "", ())


def measure(image: Image) -> Evidence:
    """Say what the metadata tells and where it contradicts itself or the picture; there is no map."""
    notes = _read(image)
    if notes == _NOTHING:
        reason = "The file carries no metadata, as is usual after a website or a messenger."
        return Evidence(NAME, EXPLANATION, reason, None)
    findings = [
        *_from_programs(notes),
        *_from_preview(image),
        *_from_dimensions(notes, image),
        *_from_dates(notes),
        *_from_capture(notes),
    ] or [_Finding("The metadata says nothing about origin or editing.", _PLAIN)]
    return Evidence(
        NAME,
        EXPLANATION,
        " ".join(finding.sentence for finding in findings),
        max(finding.strength for finding in findings),
    )


def preview(image: Image) -> NDArray[np.uint8] | None:
    """Return the thumbnail of a file's EXIF, upright: (height, width, 3) RGB; None where there is none."""
    data = _read(image).preview
    if not data:
        return None
    try:
        stored = read_image(data).pixels
    except ImageError:
        return None
    return np.dstack([image.upright(stored[:, :, channel]) for channel in range(3)])


def _from_programs(notes: _Notes) -> Iterator[_Finding]:
    generators = [program for program in notes.programs if _GENERATOR.search(program)]
    editors = [program for program in notes.programs if _EDITOR.search(program) and program not in generators]
    if generators:
        yield _Finding(f"Made or changed with the image generator {', '.join(generators)}.", _GENERATED)
    elif _XMP_GENERATED.search(notes.xmp):
        yield _Finding("Declared as made by, or with, an image generator.", _GENERATED)
    if editors:
        yield _Finding(f"Saved by the image editor {', '.join(editors)}.", _EDITED)


def _from_preview(image: Image) -> Iterator[_Finding]:
    small = preview(image)
    if small is not None and not _shows(image.pixels, small):
        yield _Finding("The embedded preview shows another picture.", _OTHER_PREVIEW)


def _from_dimensions(notes: _Notes, image: Image) -> Iterator[_Finding]:
    width = notes.capture.get(ExifTags.ExifImageWidth)
    height = notes.capture.get(ExifTags.ExifImageHeight)
    if not isinstance(width, int) or not isinstance(height, int):
        return
    if {width, height} != {image.width, image.height}:
        sizes = f"{width} x {height} pixels, not {image.width} x {image.height}"
        yield _Finding(f"Noted as {sizes}: cropped or scaled since.", _INCOHERENT)


def _from_dates(notes: _Notes) -> Iterator[_Finding]:
    taken = _date(notes.capture.get(ExifTags.DateTimeOriginal))
    changed = _date(notes.main.get(ExifTags.DateTime))
    if taken and changed and changed < taken:
        yield _Finding(f"Taken {taken}, yet last changed before, {changed}.", _INCOHERENT)
    elif taken and changed and changed > taken:
        yield _Finding(f"Taken {taken}, changed {changed}.", _CHANGED)


def _from_capture(notes: _Notes) -> Iterator[_Finding]:
    maker, model = _text(notes.main.get(ExifTags.Make)), _text(notes.main.get(ExifTags.Model))
    device = model if model.startswith(maker) else f"{maker} {model}".strip()
    if device:
        yield _Finding(f"Taken with {device}.", _PLAIN)
    if notes.located:
        yield _Finding("A GPS position is present.", _PLAIN)


def _shows(pixels: NDArray[np.uint8], small: NDArray[np.uint8]) -> bool:
    """Compare the middle of both: previews of other proportions have black bars or are cropped."""
    height, width = pixels.shape[:2]
    ratio = width / height
    rows, columns = small.shape[:2]
    inner_width, inner_height = min(columns, round(rows * ratio)), min(rows, round(columns / ratio))
    top, left = (rows - inner_height) // 2, (columns - inner_width) // 2
    inner = small[top : top + inner_height, left : left + inner_width]
    picture, other = (
        cv2.resize(
            cv2.cvtColor(side, cv2.COLOR_RGB2GRAY),
            (_COMPARED_SIDE, _COMPARED_SIDE),
            interpolation=cv2.INTER_AREA,
        ).astype(np.float64)
        for side in (pixels, inner)
    )
    if min(picture.std(), other.std()) < 1:
        return bool(abs(picture.mean() - other.mean()) < 16)
    return bool(np.corrcoef(picture.ravel(), other.ravel())[0, 1] >= _SAME_PICTURE)


def _date(value: object) -> datetime | None:
    try:
        return datetime.strptime(_text(value), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _text(value: object) -> str:
    """Return a tag as printable text of bounded length, whatever the file holds."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return "".join(character for character in text if character.isprintable()).strip()[:100]


def _read(image: Image) -> _Notes:
    """Read the metadata; what cannot be parsed, as is common, counts as absent."""
    if image.format == "ARRAY":
        return _NOTHING
    try:
        with PIL.Image.open(BytesIO(image.data), formats=(image.format,)) as picture:
            return _notes(picture)
    except Exception:  # Pillow's parsers raise anything on hostile bytes
        return _NOTHING


def _notes(picture: PIL.ImageFile.ImageFile) -> _Notes:
    exif = picture.getexif()
    xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    xmp = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp
    iptc = PIL.IptcImagePlugin.getiptcinfo(picture) or {}
    named = [
        exif.get(ExifTags.Software),
        *_XMP_PROGRAM.findall(xmp),
        iptc.get(_IPTC_PROGRAM),
        picture.info.get("Software"),
    ]
    return _Notes(
        main=dict(exif),
        capture=dict(exif.get_ifd(PIL.ExifTags.IFD.Exif)),
        preview=_preview_data(picture, exif),
        located=bool(exif.get_ifd(PIL.ExifTags.IFD.GPSInfo)),
        xmp=xmp,
        programs=tuple(dict.fromkeys(text for text in map(_text, named) if text)),
    )


def _preview_data(picture: PIL.Image.Image, exif: PIL.Image.Exif) -> bytes:
    """Cut the thumbnail out of the EXIF block: its offset counts from the TIFF header."""
    directory = exif.get_ifd(PIL.ExifTags.IFD.IFD1)
    offset, length = directory.get(ExifTags.JpegIFOffset), directory.get(ExifTags.JpegIFByteCount)
    if not isinstance(offset, int) or not isinstance(length, int):
        return b""
    block: bytes = picture.info.get("exif", b"").removeprefix(b"Exif\0\0")
    return block[offset : offset + length]
