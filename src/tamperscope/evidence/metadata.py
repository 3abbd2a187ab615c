"""What a file states about itself in EXIF (CIPA DC-008), XMP (ISO 16684-1) and IPTC, and what contradicts it.

Metadata is neither protected nor complete. What it states is a lead; what it leaves out means nothing.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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
from PIL.ExifTags import GPS
from PIL.ExifTags import Base as ExifTags

from tamperscope.errors import ImageError
from tamperscope.evidence._quoting import quoted
from tamperscope.images import Image, ImageLimits, read_image
from tamperscope.report import Evidence, Explanation

NAME = "metadata"
EXPLANATION = Explanation(
    what_you_see="What the file's metadata states: device, software, dates, size, and a small preview of the "
    "picture that cameras put into the file.",
    what_it_can_mean="A preview that differs from the picture, the name of an image editor, or a declared "
    "generator indicates that the picture was changed after it was taken, or never taken at all.",
    what_it_cannot="Anyone can write or delete metadata, and most websites delete it. An editor's name does "
    "not reveal what was edited: cropping and brightening leave the same trace.",
)

_GENERATED, _OTHER_PREVIEW, _EDITED, _INCOHERENT, _CHANGED, _PLAIN = 0.9, 0.8, 0.4, 0.3, 0.2, 0.0
"""Strengths. Honest pictures pass through editors too often for an editor's name alone to be notable."""

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
_PREVIEW_LIMITS = ImageLimits(bytes=2**20, pixels=2_000_000, min_side=16)
_COMPARED_SIDE = 64
"""Longer side, in pixels, to which image and preview are scaled for comparison."""
_SAME_PICTURE = 0.8
"""Correlation from which a preview shows the same picture as the image."""
_OTHER_PLACE = 30.0
"""Levels, of 255, by which a pixel must differ: small copies are sharpened and compressed in many ways."""
_SMALLEST_PLACE = 0.004
"""Share of the image that a connected region must have to count as different."""


_LONGEST_XMP = 4 * 2**20
"""Characters of XMP that are looked through; real files have a few thousand."""
_MOST_PROGRAMS = 50
"""Programs that are listed; those that generate or edit images first."""


class _Finding(NamedTuple):
    sentence: str
    strength: float


class _Notes(NamedTuple):
    """What a file states besides its pixels."""

    main: Mapping[int, Any]
    """EXIF tags of the image."""
    capture: Mapping[int, Any]
    """EXIF tags of the capture."""
    preview: bytes
    """The embedded thumbnail, a JPEG; empty if the file has none."""
    located: bool
    """Whether there is GPS information."""
    position: tuple[float, float] | None
    """Latitude and longitude in degrees, north and east positive."""
    xmp: str
    programs: tuple[str, ...]
    """The programs that EXIF, XMP or IPTC names, without duplicates, at most `_MOST_PROGRAMS`."""


_NOTHING = _Notes({}, {}, b"", False, None, "", ())


@dataclass(frozen=True, eq=False)
class Preview:
    """The thumbnail that a camera embeds in the file."""

    pixels: NDArray[np.uint8]
    """(height, width, 3) uint8 RGB, upright."""
    likeness: float
    """Correlation with the image, -1 to 1."""
    changed: NDArray[np.bool_]
    """(height, width) of the image: where they differ; nowhere if they show different pictures."""

    @property
    def differs(self) -> bool:
        """Whether the preview differs from the image, as a whole or in some regions."""
        return self.likeness < _SAME_PICTURE or bool(self.changed.any())


def measure(image: Image) -> Evidence:
    """Return what the metadata states, and where it contradicts itself or the image.

    The map is (height, width) float32: 1 where image and preview differ, 0 elsewhere. It is None if they do
    not differ. The details are
    `{"fields": [{"name", "value"}], "located": bool, "preview": {"differs", "width", "height", "picture"}}`.
    `located` states whether there is a GPS position; the position itself is not disclosed. `picture` is the
    result of `picture_of`. `preview` is None if the file has no preview.
    """
    notes = _read(image)
    if notes == _NOTHING:
        reason = "The file carries no metadata, as is usual for pictures from websites and messengers."
        return Evidence(NAME, EXPLANATION, reason, None)
    small = preview(image)
    findings = [
        *_from_programs(notes),
        *_from_preview(small),
        *_from_dimensions(notes, image),
        *_from_dates(notes),
        *_from_capture(notes),
    ] or [_Finding("The metadata states nothing about origin or editing.", _PLAIN)]
    return Evidence(
        NAME,
        EXPLANATION,
        " ".join(finding.sentence for finding in findings),
        max(finding.strength for finding in findings),
        small.changed.astype(np.float32) if small and small.changed.any() else None,
        {
            "fields": [{"name": name, "value": value} for name, value in _fields(notes)],
            "located": notes.located,
            "preview": _preview_details(small) if small else None,
        },
    )


def preview(image: Image) -> Preview | None:
    """Return the EXIF thumbnail of a file, compared with the image; None if no thumbnail can be read.

    The simplest form of Kee and Farid, "Digital image authentication from thumbnails" (SPIE 7541, 2010): what
    the large picture shows must also be in the small one.
    """
    data = _read(image).preview
    if not data:
        return None
    try:
        stored = read_image(data, _PREVIEW_LIMITS).pixels
    except ImageError:
        return None
    turned = np.dstack([image.upright(stored[:, :, channel]) for channel in range(3)])
    # Most programs store the preview in the orientation of the image, some store it upright.
    return max((_compared(image.pixels, small) for small in (turned, stored)), key=lambda seen: seen.likeness)


def position(image: Image) -> tuple[float, float] | None:
    """Return (latitude, longitude) in degrees, north and east positive; None if the file states none.

    Nothing else discloses it: only the person who took a picture may decide to publish where.
    """
    return _read(image).position


def _from_programs(notes: _Notes) -> Iterator[_Finding]:
    generators = [program for program in notes.programs if _GENERATOR.search(program)]
    editors = [program for program in notes.programs if _EDITOR.search(program) and program not in generators]
    if generators:
        yield _Finding(f"Made or changed with the image generator {', '.join(generators)}.", _GENERATED)
    elif _XMP_GENERATED.search(notes.xmp):
        yield _Finding("Declared as made by, or with, an image generator.", _GENERATED)
    if editors:
        yield _Finding(f"Saved by the image editor {', '.join(editors)}.", _EDITED)


def picture_of(small: Preview) -> str:
    """Return a preview as the data URI of a PNG."""
    _, png = cv2.imencode(".png", small.pixels[:, :, ::-1])
    return f"data:image/png;base64,{b64encode(png.tobytes()).decode()}"


def _from_preview(small: Preview | None) -> Iterator[_Finding]:
    if small is None or not small.differs:
        return
    if small.changed.any():
        share = f"{small.changed.mean():.1%} of the picture"
        yield _Finding(f"The embedded preview shows something else in {share}.", _OTHER_PREVIEW)
    else:
        yield _Finding(
            "The embedded preview shows another picture, or another crop of this one.", _OTHER_PREVIEW
        )


def _from_dimensions(notes: _Notes, image: Image) -> Iterator[_Finding]:
    width = notes.capture.get(ExifTags.ExifImageWidth)
    height = notes.capture.get(ExifTags.ExifImageHeight)
    if not isinstance(width, int) or not isinstance(height, int):
        return
    if {width, height} != {image.width, image.height}:
        sizes = f"{width} x {height} pixels, but has {image.width} x {image.height}"
        yield _Finding(f"Recorded as {sizes}: probably cropped or scaled since.", _INCOHERENT)


def _from_dates(notes: _Notes) -> Iterator[_Finding]:
    taken = _date(notes.capture.get(ExifTags.DateTimeOriginal))
    changed = _date(notes.main.get(ExifTags.DateTime))
    if taken and changed and changed < taken:
        yield _Finding(f"Taken {taken}, but last changed earlier, {changed}.", _INCOHERENT)
    elif taken and changed and changed > taken:
        yield _Finding(f"Taken {taken}, changed {changed}.", _CHANGED)


def _from_capture(notes: _Notes) -> Iterator[_Finding]:
    maker, model = quoted(notes.main.get(ExifTags.Make)), quoted(notes.main.get(ExifTags.Model))
    device = model if model.startswith(maker) else f"{maker} {model}".strip()
    if device:
        yield _Finding(f"Taken with {device}.", _PLAIN)
    if notes.located:
        yield _Finding("A GPS position is present.", _PLAIN)


def _compared(pixels: NDArray[np.uint8], small: NDArray[np.uint8]) -> Preview:
    """Compare a preview with the image: as it is, as one with bars, and as a crop of other proportions."""
    (height, width), (rows, columns) = pixels.shape[:2], small.shape[:2]
    pairs = [
        (pixels, small),
        (pixels, _middle(small, width / height)),  # the preview has bars
        (_middle(pixels, columns / rows), small),  # the preview is a crop
    ]
    aligned = [(_reduced(picture, picture.shape), _reduced(other, picture.shape)) for picture, other in pairs]
    likeness = [_likeness(*pair) for pair in aligned]
    best = int(np.argmax(likeness))
    changed = np.zeros((height, width), bool)
    if likeness[best] >= _SAME_PICTURE:
        top, left, inner = _offset(pixels, pairs[best][0])
        places = _changed(*aligned[best]).astype(np.uint8)
        changed[top : top + inner[0], left : left + inner[1]] = (
            cv2.resize(places, inner[::-1], interpolation=cv2.INTER_NEAREST) > 0
        )
    return Preview(small, likeness[best], changed)


def _middle(pixels: NDArray[np.uint8], ratio: float) -> NDArray[np.uint8]:
    """Return the centre of an image, cropped to this ratio of width to height."""
    rows, columns = pixels.shape[:2]
    height, width = max(1, min(rows, round(columns / ratio))), max(1, min(columns, round(rows * ratio)))
    top, left = (rows - height) // 2, (columns - width) // 2
    return pixels[top : top + height, left : left + width]


def _offset(pixels: NDArray[np.uint8], middle: NDArray[np.uint8]) -> tuple[int, int, tuple[int, int]]:
    """Return where the centre of an image lies in it: top, left and (height, width)."""
    (rows, columns), (height, width) = pixels.shape[:2], middle.shape[:2]
    return (rows - height) // 2, (columns - width) // 2, (height, width)


def _reduced(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the luminance at the size to which an image of this shape is scaled for comparison."""
    scale = _COMPARED_SIDE / max(shape[:2])
    size = max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _likeness(picture: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    if min(picture.std(), other.std()) < 1:
        return float(abs(picture.mean() - other.mean()) < 16)
    return float(np.corrcoef(picture.ravel(), other.ravel())[0, 1])


def _changed(picture: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where two small pictures differ by more than sharpness, brightness and contrast."""
    contrast = np.polyfit(other.ravel(), picture.ravel(), 1) if other.std() >= 1 else (1.0, 0.0)
    difference = cv2.blur(picture - np.polyval(contrast, other).astype(np.float32), (3, 3))
    places = (np.abs(difference) > _OTHER_PLACE).astype(np.uint8)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(places)
    large = boxes[:, cv2.CC_STAT_AREA] >= _SMALLEST_PLACE * places.size
    large[0] = False
    return np.asarray(large[labels])


def _preview_details(small: Preview) -> dict[str, Any]:
    return {
        "differs": small.differs,
        "width": small.pixels.shape[1],
        "height": small.pixels.shape[0],
        "picture": picture_of(small),
    }


_MAIN_FIELDS = {
    ExifTags.Make: "Camera maker",
    ExifTags.Model: "Camera model",
    ExifTags.HostComputer: "Computer",
    ExifTags.DateTime: "File changed",
    ExifTags.Artist: "Author",
    ExifTags.Copyright: "Copyright",
    ExifTags.ImageDescription: "Description",
}
_CAPTURE_FIELDS = {
    ExifTags.DateTimeOriginal: "Taken",
    ExifTags.OffsetTimeOriginal: "Time zone",
    ExifTags.DateTimeDigitized: "Digitised",
    ExifTags.ExifImageWidth: "Recorded width",
    ExifTags.ExifImageHeight: "Recorded height",
    ExifTags.LensModel: "Lens",
    ExifTags.ExposureTime: "Exposure time (s)",
    ExifTags.FNumber: "Aperture (f)",
    ExifTags.ISOSpeedRatings: "ISO",
    ExifTags.FocalLength: "Focal length (mm)",
}
"""What a reader may want to check. Serial numbers and positions are left out."""


def _fields(notes: _Notes) -> Iterator[tuple[str, str]]:
    """Yield the name, in words, and the value of each field that helps to judge a file."""
    for program in notes.programs:
        yield "Program", program
    for tags, names in ((notes.main, _MAIN_FIELDS), (notes.capture, _CAPTURE_FIELDS)):
        for tag, name in names.items():
            if value := quoted(tags.get(tag)):
                yield name, value


def _date(value: object) -> datetime | None:
    try:
        return datetime.strptime(quoted(value), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _read(image: Image) -> _Notes:
    """Read the metadata. Metadata that cannot be parsed is common, and counts as absent."""
    if image.format == "ARRAY":
        return _NOTHING
    try:
        with PIL.Image.open(BytesIO(image.data), formats=(image.format,)) as picture:
            return _notes(picture)
    except Exception:  # Pillow's parsers can raise anything on hostile bytes
        return _NOTHING


def _notes(picture: PIL.ImageFile.ImageFile) -> _Notes:
    exif = picture.getexif()
    xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    xmp = xmp[:_LONGEST_XMP]
    xmp = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp
    place = exif.get_ifd(PIL.ExifTags.IFD.GPSInfo)
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
        located=bool(place),
        position=_position(place),
        xmp=xmp,
        programs=_listed(named),
    )


def _listed(named: Iterable[object]) -> tuple[str, ...]:
    distinct = tuple(dict.fromkeys(text for text in map(quoted, named) if text))
    if len(distinct) <= _MOST_PROGRAMS:
        return distinct
    # Otherwise a file could hide its editor behind many other names.
    return tuple(sorted(distinct, key=lambda text: not (_GENERATOR.search(text) or _EDITOR.search(text))))[
        :_MOST_PROGRAMS
    ]


def _position(place: Mapping[int, Any]) -> tuple[float, float] | None:
    try:
        degrees = [
            sum(float(part) / 60**power for power, part in enumerate(place[tag]))
            for tag in (GPS.GPSLatitude, GPS.GPSLongitude)
        ]
        south, west = place.get(GPS.GPSLatitudeRef) == "S", place.get(GPS.GPSLongitudeRef) == "W"
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    latitude, longitude = degrees
    # Written so that it also excludes NaN.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return (-latitude if south else latitude), (-longitude if west else longitude)


def _preview_data(picture: PIL.Image.Image, exif: PIL.Image.Exif) -> bytes:
    """Return the thumbnail from the EXIF block, where its offset counts from the TIFF header."""
    directory = exif.get_ifd(PIL.ExifTags.IFD.IFD1)
    offset, length = directory.get(ExifTags.JpegIFOffset), directory.get(ExifTags.JpegIFByteCount)
    if not isinstance(offset, int) or not isinstance(length, int):
        return b""
    block: bytes = picture.info.get("exif", b"").removeprefix(b"Exif\0\0")
    return block[offset : offset + length]
