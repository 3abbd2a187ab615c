"""What the quantisation tables of a JPEG reveal: its quality, and the kind of software that chose them.

Programs have their own tables (Kornblum, "Using JPEG quantization tables to identify imagery processed by
software", Digital Investigation 5, 2008). Most scale the example tables of ITU-T T.81, Annex K, as libjpeg
does.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple, cast

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile
from PIL.JpegPresets import presets

from tamperscope.evidence import metadata
from tamperscope.evidence.camera_tables import NOTHING_KNOWN, Fit, common_name, device_fit, tables_digest
from tamperscope.images import Image
from tamperscope.report import NOTABLE, Evidence, Explanation

NAME = "quantisation"
EXPLANATION = Explanation(
    what_you_see="The JPEG quality of the file, the kind of software whose quantisation tables it uses, and "
    "whether they fit the device or program that the metadata names.",
    what_it_can_mean="Tables of an image editor, or others than those of the device's originals, show that "
    "the file does not come straight from the camera. A low quality has erased most other traces, so their "
    "absence means little.",
    what_it_cannot="Saving is not manipulating. Editors crop and convert honest pictures. Websites and "
    "messengers save every picture again, with the tables that most programs share.",
)


class Origin(NamedTuple):
    """The likely origin of quantisation tables."""

    quality: int
    """1 to 100, on the scale of libjpeg."""
    exact: bool
    """Whether a known program writes exactly these tables. Otherwise the quality is the nearest one."""
    software: str
    """The software that writes such tables, in words."""
    editor: bool = False
    """Whether only image editors are known to write them."""
    name: str = ""
    """As `camera_tables` calls them: the program and the quality, or a digest."""


_CONTRADICTION = 0.3
"""Strength: saving again is as usual as it is harmless."""


def measure(image: Image) -> Evidence:
    """Return the quality and the kind of software that the tables reveal; there is no map.

    The details are `{"device": "agrees"}` or `{"device": "contradicts"}` where something is known about the
    device or the program that the metadata names.
    """
    if image.jpeg is None:
        return Evidence(NAME, EXPLANATION, "Only JPEG files have quantisation tables.", None)
    found = origin(image.jpeg.quantisation_tables)
    fit = _device_fit(image, found)
    quality = f"JPEG quality {found.quality}." if found.exact else f"JPEG quality about {found.quality}."
    tables = f"The tables are those of {found.software}."
    finding = " ".join(filter(None, (quality, tables, fit.text)))
    strength = NOTABLE if found.editor else _CONTRADICTION if fit.contradicts else 0.0
    known = "agrees" if fit.agrees else "contradicts" if fit.contradicts else None
    return Evidence(NAME, EXPLANATION, finding, strength, details={"device": known} if known else {})


def _device_fit(image: Image, found: Origin) -> Fit:
    stated = metadata.read(image)
    if stated.first("EXIF", "Software").startswith("Adobe Photoshop") and found.exact:
        return Fit(
            contradicts=True,
            text="The metadata names Adobe Photoshop, which has tables of its own, so another program saved "
            "the file since.",
        )
    maker, model = stated.first("EXIF", "Make"), stated.first("EXIF", "Model")
    return device_fit(maker, model, found.name) if maker else NOTHING_KNOWN


def origin(tables: tuple[NDArray[np.uint16], ...]) -> Origin:
    """Return the origin of a JPEG's quantisation tables: (8, 8) for each component."""
    luminance = tables[0].astype(float)
    distances = [np.abs(standard[0] - luminance).sum() for standard in _libjpeg_tables()]
    nearest = int(np.argmin(distances)) + 1
    for quality in (nearest, *range(1, 101)):
        if _same(tables, _libjpeg_tables()[quality - 1]):
            software = "libjpeg, which most programs, most websites and some cameras use"
            return Origin(quality, True, software, name=common_name("libjpeg", quality))
        if _same(tables, _mozjpeg_tables(quality)):
            software = "mozjpeg, which some websites and converters use"
            return Origin(quality, True, software, name=common_name("mozjpeg", quality))
    for preset in presets.values():
        if _same(tables, tuple(_square(table) for table in cast(list[list[int]], preset["quantization"]))):
            return Origin(nearest, False, "Adobe Photoshop", True, common_name("Photoshop", nearest))
    software = "an unknown program; many cameras and some editors have their own"
    return Origin(nearest, False, software, name=tables_digest(tables))


@functools.cache
def _libjpeg_tables() -> tuple[tuple[NDArray[np.uint16], ...], ...]:
    """Return the luminance and chrominance tables of qualities 1 to 100, as Pillow saves them."""
    return tuple(_tables_saved_at(quality) for quality in range(1, 101))


def _tables_saved_at(quality: int) -> tuple[NDArray[np.uint16], ...]:
    file = BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    with JpegImageFile(BytesIO(file.getvalue())) as picture:
        return tuple(_square(table) for table in picture.quantization.values())


_MOZJPEG = np.array(
    [
        [16, 16, 16, 18, 25, 37, 56, 85],
        [16, 17, 20, 27, 34, 40, 53, 75],
        [16, 20, 24, 31, 43, 62, 91, 135],
        [18, 27, 31, 40, 53, 74, 106, 156],
        [25, 34, 43, 53, 69, 94, 131, 189],
        [37, 40, 62, 74, 94, 124, 169, 238],
        [56, 53, 91, 106, 131, 169, 226, 311],
        [85, 75, 135, 156, 189, 238, 311, 418],
    ]
)
"""The table by N. Robidoux that mozjpeg scales by default, for luminance and chrominance alike."""


def _mozjpeg_tables(quality: int) -> tuple[NDArray[np.uint16], ...]:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    table = np.clip((_MOZJPEG * percent + 50) // 100, 1, 255).astype(np.uint16)
    return table, table


def _square(table: Sequence[int]) -> NDArray[np.uint16]:
    return np.array(table, np.uint16).reshape(8, 8)


def _same(tables: tuple[NDArray[np.uint16], ...], known: tuple[NDArray[np.uint16], ...]) -> bool:
    """Return whether all components have equal tables; the second chrominance table repeats the first."""
    return all(np.array_equal(table, known[min(index, 1)]) for index, table in enumerate(tables))
