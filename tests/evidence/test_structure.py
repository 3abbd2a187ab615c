from __future__ import annotations

import struct
import zipfile
from io import BytesIO

import pytest

import samples
from tamperscope.evidence import structure
from tamperscope.images import read_image
from tamperscope.report import NOTABLE

PHOTO = samples.scene(160, 120)


def from_camera(**options: object) -> bytes:
    return samples.encode(PHOTO, exif=samples.exif(Make="Canon", Model="Canon EOS 5D"), **options)


def archive() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("a.txt", "hidden")
    return file.getvalue()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_an_archive_behind_the_picture_is_notable(image_format: str) -> None:
    plain = samples.encode(PHOTO, image_format)
    hidden = archive()

    evidence = structure.measure(read_image(plain + hidden))

    assert "an archive (ZIP)" in evidence.finding
    assert evidence.strength == NOTABLE
    assert evidence.details["trailing"] == len(hidden)
    assert structure.measure(read_image(plain)).details["trailing"] == 0


def test_an_archive_with_text_before_it_is_found_by_its_directory() -> None:
    evidence = structure.measure(read_image(samples.encode(PHOTO) + b"some words" + archive()))

    assert "an archive (ZIP)" in evidence.finding


@pytest.mark.parametrize(
    ("following", "named"),
    [
        (b"\0\0\0\x18ftypmp42" + bytes(100), "the video of a motion photo"),
        (b"..." + bytes(100) + b"SEFT", "data of a Samsung phone"),
        (samples.encode(samples.scene(40, 40)), "a further picture"),
        (b"\x12\x34" * 100, "of an unknown kind"),
    ],
)
def test_what_phones_and_cameras_append_is_named_and_not_notable(following: bytes, named: str) -> None:
    evidence = structure.measure(read_image(samples.encode(PHOTO) + following))

    assert named in evidence.finding
    assert evidence.strength == 0


def test_padding_is_not_worth_a_word() -> None:
    evidence = structure.measure(read_image(samples.encode(PHOTO) + bytes(500)))

    assert evidence.finding == "The file is built as usual, and nothing follows the picture."


def test_progressive_coding_contradicts_a_camera() -> None:
    assert "coded progressively" in structure.measure(read_image(from_camera(progressive=True))).finding
    assert "coded progressively" not in structure.measure(read_image(from_camera())).finding


def test_the_segments_are_listed_in_their_order() -> None:
    photoshop = b"Photoshop 3.0\0"
    segment = b"\xff\xed" + struct.pack(">H", len(photoshop) + 2) + photoshop
    data = samples.encode(PHOTO)

    evidence = structure.measure(read_image(data[:2] + segment + data[2:]))

    assert evidence.details["segments"][:2] == ["APP13 Photoshop", "APP0 JFIF"]
    assert evidence.details["segments"][-1] == "SOS"
    assert "programs of Adobe" in evidence.finding
