"""What a file states about itself in EXIF (CIPA DC-008), XMP (ISO 16684-1), IPTC and texts, as evidence.

Metadata is neither protected nor complete. What it states is a lead; what it leaves out means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from tamperscope.evidence._quoting import quoted
from tamperscope.evidence.metadata import embedded
from tamperscope.evidence.metadata.comparison import Preview, picture_of, previews
from tamperscope.evidence.metadata.generation import generation
from tamperscope.evidence.metadata.marks import find, names_program
from tamperscope.evidence.metadata.origin_claims import claims
from tamperscope.evidence.metadata.reading import Entry, Metadata, read, read_maker_note
from tamperscope.images import Image
from tamperscope.report import Evidence, Explanation, percent

NAME = "metadata"
EXPLANATION = Explanation(
    what_you_see="What the file's metadata states: device, software, dates, size, and a small preview of the "
    "picture that cameras put into the file.",
    what_it_can_mean="A preview that differs from the picture, the name of an image editor, or a declared "
    "generator indicates that the picture was changed after it was taken, or never taken at all.",
    what_it_cannot="Anyone can write or delete metadata, and most websites delete it. An editor's name does "
    "not reveal what was edited: cropping and brightening leave the same trace.",
)
MOST_SHOWN = 1000
"""Entries of the complete list that a report holds."""
LONGEST_SHOWN = 300
"""Characters of one of them."""

_MOST_APART = timedelta(days=2)
"""Of the camera's time and noon on the day of the satellites: time zones make up to a day and a half."""

_OTHER_PREVIEW, _WIDER_PREVIEW, _INCOHERENT, _CHANGED, _PLAIN = 0.8, 0.35, 0.3, 0.2, 0.0


@dataclass(frozen=True)
class _Finding:
    sentence: str
    strength: float


def measure(image: Image) -> Evidence:
    """Return what the metadata states, and where it contradicts itself or the image.

    The map is (height, width) float32: 1 where image and preview differ, 0 elsewhere. It is None if they do
    not differ. The details are `{"fields": [{"name", "value"}], "entries": [{"group", "name", "value"}],
    "located": bool, "preview": {"differs", "place", "width", "height", "picture"}}`. `fields` is the telling
    part of `entries`. `located` states whether there is a GPS position; neither list discloses it. `preview`
    is the one that is least like the image, and None if the file has none. `place` is as
    `EmbeddedPreview.place`, and `picture` the result of `picture_of`.
    """
    stated = read(image)
    if stated.bare:
        reason = "The file carries no metadata, as is usual for pictures from websites and messengers."
        return Evidence(NAME, EXPLANATION, reason, None)
    compared = previews(image)
    small = next(iter(compared), None)
    findings = [
        *(_Finding(claim.text, claim.strength) for claim in claims(stated)),
        *dict.fromkeys(_from_previews(compared)),
        *_from_dimensions(stated, image),
        *_from_dates(stated),
        *_from_position(stated),
        *_from_damage(stated),
    ] or [_Finding("The metadata states nothing about origin or editing.", _PLAIN)]
    return Evidence(
        NAME,
        EXPLANATION,
        " ".join(finding.sentence for finding in findings),
        max(finding.strength for finding in findings),
        small.changed.astype(np.float32) if small and small.changed.any() else None,
        {
            "fields": [{"name": name, "value": value} for name, value in _fields(stated)],
            "entries": _shown((*stated.entries, *read_maker_note(image))),
            "located": stated.position is not None,
            "preview": _preview_details(small) if small else None,
        },
    )


def _from_previews(compared: Sequence[Preview]) -> Iterator[_Finding]:
    """Yield what each preview shows that the picture does not; one that is only wider where none differs."""
    differing = [small for small in compared if small.differs]
    for small in differing or compared:
        place = _PLACES[small.place]
        if not small.same:
            yield _Finding(f"The embedded preview {place} shows another picture.", _OTHER_PREVIEW)
        elif small.changed.any():
            share = percent(small.changed.mean())
            text = f"The embedded preview {place} shows something else in {share} of the picture."
            yield _Finding(text, _OTHER_PREVIEW)
        elif small.wider:
            text = (
                f"The embedded preview {place} shows more than the picture, which was probably cropped since."
            )
            yield _Finding(text, _WIDER_PREVIEW)


_PLACES = {
    embedded.EXIF: "in EXIF",
    embedded.MAKER_NOTE: "in the maker note",
    embedded.MULTI_PICTURE: "after the picture",
    embedded.THUMBNAIL_ITEM: "beside the picture (HEIF)",
    embedded.PHOTOSHOP: "in Photoshop's data",
    embedded.XMP: "in XMP",
}


def _from_dimensions(stated: Metadata, image: Image) -> Iterator[_Finding]:
    width, height = (stated.first("EXIF", f"ExifImage{side}") for side in ("Width", "Height"))
    if not _SIDE.fullmatch(width) or not _SIDE.fullmatch(height):
        return
    if {int(width), int(height)} != {image.width, image.height}:
        recorded, actual = f"{quoted(width)} x {quoted(height)}", f"{image.width} x {image.height}"
        text = f"Recorded as {recorded} pixels, but has {actual}: probably cropped or scaled since."
        yield _Finding(text, _INCOHERENT)


_SIDE = re.compile(r"[1-9][0-9]{0,9}")
"""A side in pixels. A file may hold a text of any length in its place."""


def _from_dates(stated: Metadata) -> Iterator[_Finding]:
    taken = _date(stated.first("EXIF", "DateTimeOriginal"))
    changed = _date(stated.first("EXIF", "DateTime"))
    if taken and changed and changed < taken:
        yield _Finding(f"Taken {taken}, but last changed earlier, {changed}.", _INCOHERENT)
    elif taken and changed and changed > taken:
        yield _Finding(f"Taken {taken}, changed {changed}.", _CHANGED)
    satellites = _date(f"{stated.first('GPS', 'GPSDateStamp')} 12:00:00")
    if taken and satellites and abs(taken - satellites) > _MOST_APART:
        day = satellites.date()
        text = f"Taken {taken}, but the date of the satellites is {day}: one of the two was changed."
        yield _Finding(text, _INCOHERENT)


def _from_position(stated: Metadata) -> Iterator[_Finding]:
    if stated.position:
        yield _Finding("A GPS position is present.", _PLAIN)
    elif stated.gps:
        text = (
            "A GPS block is present, but without a position: the camera had no fix, or the place was removed."
        )
        yield _Finding(text, _PLAIN)


def _from_damage(stated: Metadata) -> Iterator[_Finding]:
    if stated.silent:
        parts = " and ".join(stated.silent)
        text = f"A block of metadata is there that says nothing ({parts}): it is empty, or cannot be read."
        yield _Finding(text, _PLAIN)
    if stated.unreadable:
        parts = " and ".join(stated.unreadable)
        yield _Finding(f"A part of the metadata is damaged and was left out ({parts}).", _PLAIN)


def _preview_details(small: Preview) -> dict[str, Any]:
    return {
        "differs": small.differs,
        "place": small.place,
        "width": small.pixels.shape[1],
        "height": small.pixels.shape[0],
        "picture": picture_of(small),
    }


class _Telling(NamedTuple):
    label: str
    group: str
    names: tuple[str, ...]


_TELLING = (
    _Telling("Camera maker", "EXIF", ("Make",)),
    _Telling("Camera model", "EXIF", ("Model",)),
    _Telling("Computer", "EXIF", ("HostComputer",)),
    _Telling("Taken", "EXIF", ("DateTimeOriginal",)),
    _Telling("Time zone", "EXIF", ("OffsetTimeOriginal",)),
    _Telling("Digitised", "EXIF", ("DateTimeDigitized",)),
    _Telling("File changed", "EXIF", ("DateTime",)),
    _Telling("Declared source", "XMP", ("DigitalSourceType",)),
    _Telling("Credit", "XMP", ("Credit",)),
    _Telling("Credit", "IPTC", ("Credit",)),
    _Telling("Created", "XMP", ("CreateDate",)),
    _Telling("Changed", "XMP", ("ModifyDate",)),
    _Telling("Editing history", "XMP", ("action",)),
    _Telling("Layer", "XMP", ("LayerName",)),
    _Telling("Made from", "XMP", ("DocumentAncestors",)),
    _Telling("Author", "EXIF", ("Artist",)),
    _Telling("Copyright", "EXIF", ("Copyright",)),
    _Telling("Description", "EXIF", ("ImageDescription",)),
    _Telling("Caption", "IPTC", ("Caption",)),
    _Telling("Recorded width", "EXIF", ("ExifImageWidth",)),
    _Telling("Recorded height", "EXIF", ("ExifImageHeight",)),
    _Telling("Lens", "EXIF", ("LensModel",)),
    _Telling("Exposure time (s)", "EXIF", ("ExposureTime",)),
    _Telling("Aperture (f)", "EXIF", ("FNumber",)),
    _Telling("ISO", "EXIF", ("ISOSpeedRatings",)),
    _Telling("Focal length (mm)", "EXIF", ("FocalLength",)),
    _Telling("Colour profile", "ICC profile", ("Description",)),
    _Telling("Pictures in the file", "Multi-picture", ("NumberOfImages",)),
)
"""What a reader may want to check. Serial numbers and positions are left out."""
_MOST_OF_ONE = 10


def _fields(stated: Metadata) -> Iterator[tuple[str, str]]:
    """Yield the name, in words, and the value of each field that helps to judge a file."""
    named = [entry for entry in stated.entries if names_program(entry) and _is_program(entry)]
    # Known programs first. Otherwise a file could hide its editor behind many other names.
    known = {mark.entry for mark in find(stated)}
    programs = map(quoted, (entry.value for entry in sorted(named, key=lambda entry: entry not in known)))
    for program in list(dict.fromkeys(filter(None, programs)))[:_MOST_OF_ONE]:
        yield "Program", program
    asked = asdict(generation(stated)) if find(stated) else {}
    for name, value in asked.items():
        if value:
            yield name.capitalize(), quoted(value, LONGEST_SHOWN)
    for telling in _TELLING:
        values = dict.fromkeys(map(quoted, stated.values(telling.group, *telling.names)))
        for value in list(values)[:_MOST_OF_ONE]:
            if value:
                yield telling.label, value


def _is_program(entry: Entry) -> bool:
    return entry.name.endswith(("Software", "CreatorTool", "softwareAgent", "Program", "AISystemUsed"))


def _shown(entries: tuple[Entry, ...]) -> list[dict[str, str]]:
    """Return the complete list, printable, bounded, and without positions."""
    return [
        {"group": entry.group, "name": quoted(entry.name), "value": quoted(entry.value, LONGEST_SHOWN)}
        for entry in entries
        if not _tells_place(entry)
    ][:MOST_SHOWN]


_PLACE_NAMES = ("gps", "latitude", "longitude", "location", "city", "sublocation", "geo")


def _tells_place(entry: Entry) -> bool:
    """Return whether an entry may disclose where the picture was taken, which only the asker decides."""
    name = entry.name.lower()
    return entry.group == "GPS" or any(part in name for part in _PLACE_NAMES)


def _date(value: str) -> datetime | None:
    try:
        return datetime.strptime(quoted(value), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
