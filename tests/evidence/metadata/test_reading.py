from __future__ import annotations

import struct
import zlib

import numpy as np
import PIL.Image
import pytest
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo

import samples
from tamperscope.evidence.metadata.reading import Metadata, read, read_maker_note
from tamperscope.images import Image, read_image

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b"xmp:CreatorTool='GIMP 3'/></x:xmpmeta>"
)
IPTC = b"\x1c\2\x41\0\4GIMP"


def exif() -> PIL.Image.Exif:
    block = PIL.Image.Exif()
    block.update({Base.Make: "NIKON", Base.Model: "E5700", Base.Software: "E5700v1.0"})
    block.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2004:12:19 21:11:08"
    return block


def metadata(data: bytes) -> Metadata:
    return read(read_image(data))


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    return data[:2] + bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content + data[2:]


def with_chunk(data: bytes, kind: bytes, content: bytes) -> bytes:
    """Return a PNG with a chunk behind its pixels."""
    chunk = struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))
    return data[:-12] + chunk + data[-12:]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_exif_is_read_from_every_format(image_format: str) -> None:
    stated = metadata(samples.encode(samples.photo(), image_format, exif=exif()))

    assert stated.first("EXIF", "Model") == "E5700"
    # Pillow writes no second directory into a TIFF.
    if image_format != "TIFF":
        assert stated.first("EXIF", "DateTimeOriginal") == "2004:12:19 21:11:08"


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "HEIF", "AVIF"])
def test_xmp_is_read_from_every_format_that_pillow_writes(image_format: str) -> None:
    assert (
        metadata(samples.encode(samples.photo(), image_format, xmp=XMP)).first("XMP", "CreatorTool")
        == "GIMP 3"
    )


def test_xmp_is_read_from_tiff_png_and_gif() -> None:
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    gif = samples.encode(samples.photo(), "GIF")
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"

    for data in (
        samples.encode(samples.photo(), "TIFF", tiffinfo={700: XMP}),
        samples.encode(samples.photo(), "PNG", pnginfo=text),
        gif[:-1] + b"!\xff\x0bXMP DataXMP" + XMP + trailer + b";",
    ):
        assert metadata(data).first("XMP", "CreatorTool") == "GIMP 3"


def test_texts_behind_the_pixels_of_a_png_are_read() -> None:
    data = samples.encode(samples.photo(), "PNG")
    data = with_chunk(data, b"tEXt", b"Software\0NovelAI")
    data = with_chunk(data, b"zTXt", b"prompt\0\0" + zlib.compress(b"a cat"))
    data = with_chunk(data, b"iTXt", b"Title\0\1\0\0\0" + zlib.compress("Häuser".encode()))

    assert [entry.value for entry in metadata(data).entries] == ["NovelAI", "a cat", "Häuser"]


@pytest.mark.parametrize("following", [b"", b'\n$"!#'])
def test_blocks_that_imagemagick_writes_as_text_are_read(following: bytes) -> None:
    block = b"Exif\0\0" + exif().tobytes().removeprefix(b"Exif\0\0")
    text = b"\nexif\n%8d\n" % len(block) + block.hex().encode() + following
    data = with_chunk(
        samples.encode(samples.photo(), "PNG"), b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)
    )

    assert metadata(data).first("EXIF", "Model") == "E5700"


def test_comments_are_read() -> None:
    jpeg = samples.encode(samples.photo(), comment=b"CREATOR: gd-jpeg v1.0")
    gif = samples.encode(samples.photo(), "GIF", comment=b"Created with GIMP")

    assert metadata(jpeg).first("JPEG comment", "Comment") == "CREATOR: gd-jpeg v1.0"
    assert metadata(gif).first("GIF comment", "Comment") == "Created with GIMP"


def test_a_comment_of_a_gif_can_have_several_lines() -> None:
    gif = samples.encode(samples.photo(), "GIF", comment=b"a cat\r\nSteps: 20, Sampler: Euler a")

    assert metadata(gif).first("GIF comment", "Comment") == "a cat\r\nSteps: 20, Sampler: Euler a"


@pytest.mark.parametrize(
    "content",
    [
        b"Photoshop 3.0\08BIM\4\4\0\0\0\0\0\x20\x1c\2\x05\xff\xff",
        b"Photoshop 3.0\0garbage",
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta",
        b"ICC_PROFILE\0\1\1garbage",
        b"MPF\0garbage",
    ],
)
def test_one_bad_part_does_not_hide_the_rest(content: bytes) -> None:
    good = samples.encode(samples.photo(), exif=exif())

    stated = metadata(with_segment(good, 0xED if content.startswith(b"Ph") else 0xE2, content))

    assert stated.first("EXIF", "Make") == "NIKON"
    assert stated.first("EXIF", "Software") == "E5700v1.0"


@pytest.mark.parametrize("picture", ["!!!", "é"])
def test_a_preview_in_xmp_that_is_not_base64_does_not_hide_the_rest(picture: str) -> None:
    preview = f'xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" xmpGImg:image="{picture}" '
    packet = XMP.replace(b"xmp:CreatorTool", preview.encode() + b"xmp:CreatorTool")

    stated = metadata(samples.encode(samples.photo(), xmp=packet))

    assert stated.first("XMP", "CreatorTool") == "GIMP 3"
    assert stated.unreadable == ()


def test_the_headers_of_a_jpeg_are_listed_and_say_nothing() -> None:
    plain = metadata(samples.encode(samples.photo(), dpi=(300, 300)))
    photoshop = with_segment(samples.encode(samples.photo()), 0xEC, b"Ducky\0\1\0\4\0\0\0\x50")

    assert plain.first("JPEG segment", "JFIF") == "version 1.01, density 300 x 300 per inch"
    assert plain.bare
    assert metadata(photoshop).first("JPEG segment", "APP12") == "Ducky"
    assert not metadata(photoshop).bare


def test_a_text_that_cannot_be_unpacked_is_named() -> None:
    data = with_chunk(samples.encode(samples.photo(), "PNG"), b"zTXt", b"prompt\0\0garbage")

    assert metadata(data).unreadable == ("PNG text",)


def test_a_damaged_part_is_named() -> None:
    good = samples.encode(samples.photo(), exif=exif())

    assert metadata(with_segment(good, 0xE2, b"ICC_PROFILE\0\1\1garbage")).unreadable == ("ICC profile",)


def test_iptc_is_read() -> None:
    resource = b"Photoshop 3.0\08BIM\4\4\0\0" + len(IPTC).to_bytes(4) + IPTC + b"\0"

    assert (
        metadata(with_segment(samples.encode(samples.photo()), 0xED, resource)).first(
            "IPTC", "OriginatingProgram"
        )
        == "GIMP"
    )


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\0\0\0a caf",
        b"UNICODE\0" + "a caf".encode("utf-16-le"),
        b"UNICODE\0" + "a caf".encode("utf-16-be"),
        b"\0\0\0\0\0\0\0\0a caf",
    ],
)
def test_a_comment_of_the_user_is_read_in_any_coding(comment: bytes) -> None:
    block = exif()
    block.get_ifd(IFD.Exif)[Base.UserComment] = comment

    assert metadata(samples.encode(samples.photo(), exif=block)).first("EXIF", "UserComment") == "a caf"


def test_the_maker_note_is_read() -> None:
    block = exif()
    block[Base.Make] = "Canon"
    text = b"Firmware Version 1.02\0"
    # Canon's maker note is a directory whose offsets count from the block's beginning.
    entry = struct.pack("<HHLL", 7, 2, len(text), 0)
    block.get_ifd(IFD.Exif)[Base.MakerNote] = struct.pack("<H", 1) + entry + bytes(4) + text
    data = samples.encode(samples.photo(), exif=block.tobytes())

    assert isinstance(read_maker_note(read_image(data)), tuple)


def test_a_maker_note_that_claims_two_thousand_million_values_is_given_up() -> None:
    entries = struct.pack("<HHLL", Base.Make, 2, 6, 60), struct.pack("<HHLL", 0x8769, 4, 1, 38)
    note = struct.pack("<H", 1) + struct.pack("<HHLL", Base.MakerNote, 3, 2**31 - 1, 60) + bytes(4)
    block = b"II*\0" + struct.pack("<LH", 8, 2) + b"".join(entries) + bytes(4) + note + bytes(4) + b"Canon\0"
    data = samples.encode(samples.photo(), exif=b"Exif\0\0" + block)

    assert read_maker_note(read_image(data)) == ()


def test_a_text_that_inflates_is_bounded() -> None:
    data = with_chunk(
        samples.encode(samples.photo(), "PNG"), b"zTXt", b"a\0\0" + zlib.compress(bytes(b"a" * 10**6))
    )

    assert [len(entry.value) for entry in metadata(data).entries] == [2**16]


def test_an_array_has_no_metadata() -> None:
    assert read(read_image(samples.photo())) == Metadata()


def test_a_gif_of_comments_is_read_once() -> None:
    """Each length byte may also be the start of a comment, which must not make the work quadratic."""
    data = b"GIF89a" + bytes(7) + b"!\xfe\xff" + b"!\xfe" * 2_000_000
    assert read(Image(np.zeros((32, 32, 3), np.uint8), data, "GIF")) is not None
