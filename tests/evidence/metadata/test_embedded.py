"""Previews in each place of a file: those that fit the picture, and those that show something else."""

from __future__ import annotations

import base64
import struct

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from PIL.ExifTags import IFD, Base

import samples
from tamperscope.evidence import metadata
from tamperscope.evidence.metadata import comparison, embedded
from tamperscope.images import Image, ImageLimits, read_image

PICTURE = samples.scene(480, 320)
OTHER = samples.photo(480, 320, seed=1)


def small(picture: NDArray[np.uint8] = PICTURE, side: int = 160) -> bytes:
    reduced = PIL.Image.fromarray(picture)
    reduced.thumbnail((side, side))
    return samples.encode(reduced, quality=90)


def noted(note: bytes) -> PIL.Image.Exif:
    """Return EXIF with a maker note."""
    block = PIL.Image.Exif()
    block[Base.Make] = "NIKON"
    block.get_ifd(IFD.Exif)[Base.MakerNote] = note
    return block


def multi_picture(second: NDArray[np.uint8], kind: int) -> bytes:
    """Return a JPEG with a second picture that its index (MPF) lists as of a kind."""
    data = samples.encode(PICTURE, "MPO", save_all=True, append_images=[PIL.Image.fromarray(second)])
    start = data.index(b"MPF\0")
    entries = start + data[start : start + 100].rindex(struct.pack("<L", 0x030000))
    place = entries + 16
    return data[:place] + struct.pack("<L", kind) + data[place + 4 :]


def told(data: bytes) -> str:
    return metadata.measure(read_image(data)).finding


def places(data: bytes) -> list[str]:
    return [each.place for each in metadata.read(read_image(data)).previews]


@pytest.mark.parametrize(("shown", "differs"), [(PICTURE, False), (OTHER, True)])
def test_a_preview_in_a_maker_note_is_compared(shown: NDArray[np.uint8], differs: bool) -> None:
    data = samples.encode(PICTURE, exif=noted(b"Nikon\0\2\x10" + bytes(40) + small(shown) + bytes(8)))

    assert places(data) == [embedded.MAKER_NOTE]
    assert ("The embedded preview in the maker note shows another picture." in told(data)) is differs
    assert metadata.measure(read_image(data)).notable is differs


def test_what_only_looks_like_a_preview_in_a_maker_note_is_passed_over() -> None:
    noise = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    data = samples.encode(PICTURE, exif=noted(b"\xff\xd8\xff\xdb" + noise + small()))

    previews = metadata.read(read_image(data)).previews

    assert [each.data for each in previews] == [small()]


def test_the_coded_pixels_of_a_tiff_are_not_a_preview() -> None:
    data = samples.encode(PICTURE, "TIFF", compression="jpeg", tiffinfo={Base.MakerNote: b"note"})

    assert places(data) == []


@pytest.mark.parametrize("kind", [0x010001, 0x010002])
@pytest.mark.parametrize(("shown", "differs"), [(PICTURE, False), (OTHER, True)])
def test_a_large_preview_in_the_list_of_pictures_is_compared(
    shown: NDArray[np.uint8], differs: bool, kind: int
) -> None:
    data = multi_picture(shown, kind)

    assert places(data) == [embedded.MULTI_PICTURE]
    assert ("The embedded preview after the picture shows another picture." in told(data)) is differs


@pytest.mark.parametrize("kind", [0, 0x020002, 0x020003])
def test_a_gain_map_or_another_view_in_the_list_of_pictures_is_not_a_preview(kind: int) -> None:
    assert places(multi_picture(OTHER, kind)) == []


def test_a_thumbnail_of_a_heif_file_is_compared() -> None:
    data = samples.encode(PICTURE, "HEIF", thumbnails=[160])

    (found,) = metadata.previews(read_image(data))
    assert (found.place, found.pixels.shape, found.differs) == (embedded.THUMBNAIL_ITEM, (106, 160, 3), False)

    (found,) = metadata.previews(Image(OTHER, data, "HEIF"))
    assert not found.same
    other = metadata.measure(Image(OTHER, data, "HEIF")).finding
    assert other.startswith("The embedded preview beside the picture (HEIF) shows another picture.")


def test_a_thumbnail_of_more_pixels_than_a_preview_has_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = samples.encode(PICTURE, "HEIF", thumbnails=[160])
    monkeypatch.setattr(comparison, "_LIMITS", ImageLimits(pixels=160 * 100, min_side=16))

    assert places(data) == [embedded.THUMBNAIL_ITEM]
    assert metadata.previews(read_image(data)) == ()


def test_a_heif_file_without_a_thumbnail_has_no_preview() -> None:
    assert places(samples.encode(PICTURE, "HEIF")) == []


def test_the_finding_names_the_preview_that_differs_and_its_place_in_the_picture() -> None:
    changed = PICTURE.copy()
    changed[100:180, 200:300] = OTHER[:80, :100]
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    xmp += b' xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"><rdf:Description><xmpGImg:image>'
    xmp += base64.b64encode(small(changed)) + b"</xmpGImg:image></rdf:Description></rdf:RDF></x:xmpmeta>"
    data = samples.encode(changed, exif=noted(small()), xmp=xmp, quality=90)

    evidence = metadata.measure(read_image(data))

    assert set(places(data)) == {embedded.MAKER_NOTE, embedded.XMP}
    assert "The embedded preview in the maker note shows something else in" in evidence.finding
    assert "XMP" not in evidence.finding
    assert evidence.map is not None
    assert evidence.map[110:170, 210:290].mean() > 0.3
    assert evidence.details["preview"]["place"] == embedded.MAKER_NOTE


def test_each_preview_of_another_picture_is_named() -> None:
    data = multi_picture(OTHER, 0x010001)
    note = noted(small(OTHER)).tobytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note

    finding = told(data[:2] + segment + data[2:])

    assert "The embedded preview in the maker note shows another picture." in finding
    assert "The embedded preview after the picture shows another picture." in finding


@pytest.mark.parametrize("cut", range(0, 900, 90))
def test_damaged_files_do_not_raise(cut: int) -> None:
    heif = samples.encode(PICTURE, "HEIF", thumbnails=[160])

    assert metadata.previews(Image(PICTURE, heif[:cut], "HEIF")) == ()
    metadata.previews(Image(PICTURE, multi_picture(OTHER, 0x010001)[:cut], "JPEG"))
