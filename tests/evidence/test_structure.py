from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO

import PIL.Image
import pytest
from PIL import TiffImagePlugin, TiffTags
from PIL.ExifTags import IFD, Base

import samples
from tamperscope.evidence import metadata, structure
from tamperscope.evidence.metadata.reading import Entry
from tamperscope.images import Image, read_image
from tamperscope.report import NOTABLE

PHOTO = samples.scene(160, 120)


def from_camera(**options: object) -> bytes:
    return samples.encode(PHOTO, exif=samples.exif(Make="Canon", Model="Canon EOS 5D"), **options)


def archive() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("a.txt", "hidden")
    return file.getvalue()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
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


def test_bytes_between_segments_were_left_by_a_program() -> None:
    data = samples.encode(PHOTO)
    length = 4 + int.from_bytes(data[4:6])

    assert "2 bytes between the segments" in finding(data[:length] + b"?>" + data[length:])
    assert "between the segments" not in finding(data[:length] + b"\0\0" + data[length:])


def test_a_size_of_a_messenger_is_a_hint_where_there_is_no_metadata() -> None:
    picture = samples.scene(1600, 90)

    assert "a size that platforms use (WhatsApp, Signal). Other programs use it too." in finding(
        samples.encode(picture)
    )
    assert "WhatsApp" not in finding(samples.encode(picture, exif=samples.exif(Make="Canon")))
    assert "WhatsApp" not in finding(samples.encode(picture, "PNG"))


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "AVIF"])
def test_the_metadata_of_a_photo_does_not_suit_formats_that_cameras_do_not_write(image_format: str) -> None:
    block = PIL.Image.Exif()
    block[Base.Make] = "Canon"
    drawn = samples.encode(PHOTO, image_format, exif=block)
    block.get_ifd(IFD.Exif)[Base.ExposureTime] = 0.01
    photo = samples.encode(PHOTO, image_format, exif=block)

    assert "a program converted it" in finding(photo)
    assert "a program converted it" not in finding(drawn)


def test_the_rest_of_a_larger_png_was_cropped_away() -> None:
    small, large = (samples.encode(samples.scene(side, side), "PNG") for side in (64, 160))

    evidence = structure.measure(read_image(small + large[len(small) :]))

    assert "the rest of an earlier, larger file" in evidence.finding
    assert not evidence.notable


@pytest.mark.parametrize(
    ("chunk", "named"), [(b"iDOT", "Apple"), (b"vpAg", "ImageMagick"), (b"mkBF", "Adobe Fireworks")]
)
def test_programs_are_known_by_their_chunks_in_a_png(chunk: bytes, named: str) -> None:
    data = samples.encode(PHOTO, "PNG")
    added = bytes(3) + b"\4" + chunk + bytes(4) + zlib.crc32(chunk + bytes(4)).to_bytes(4)

    evidence = structure.measure(read_image(data[:33] + added + data[33:]))

    assert named in evidence.finding
    assert evidence.strength == 0
    assert evidence.details["segments"][:2] == ["IHDR", chunk.decode()]


def test_metadata_before_the_picture_of_a_webp_is_unusual() -> None:
    data = samples.encode(PHOTO, "WEBP", exif=samples.exif(Make="Canon"))
    place = data.index(b"EXIF")
    exif = data[place:]
    moved = data[:30] + exif + data[30:place]

    assert "Metadata stands before the picture" in finding(moved)
    assert "Metadata stands before the picture" not in finding(data)


def test_chunks_of_a_webp_that_the_standard_does_not_know_are_listed() -> None:
    plain = samples.encode(PHOTO, "WEBP")
    data = plain + b"PSAI" + bytes(4) + b"abcd" + bytes(4)
    data = data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]

    told = finding(data)

    assert "a chunk of Adobe Photoshop" in told
    assert "chunks that the standard does not know: abcd." in told


# HEIF and AVIF

APPLE = (b"hdlr", b"dinf", b"pitm", b"iinf", b"iref", b"iprp", b"idat", b"iloc")
LIBHEIF = (b"hdlr", b"pitm", b"iloc", b"iinf", b"iprp")


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content


def boxes(inside: Sequence[bytes], *following: bytes, encoder: bytes = b"", meta: bytes = b"") -> bytes:
    """Return the boxes of a file whose `meta` holds boxes of these kinds, in this order."""
    content = [box(kind, bytes(24) + encoder if kind == b"hdlr" else b"") for kind in inside]
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return head + box(b"meta", bytes(4) + b"".join(content) + meta) + b"".join(following)


def heif(data: bytes, maker: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what is found in a HEIF file whose metadata names a maker."""
    stated = metadata.Metadata((Entry("EXIF", "Make", maker),) if maker else ())
    monkeypatch.setattr(structure.boxes.metadata, "read", lambda _: stated)
    return structure.measure(Image(PHOTO, data, "HEIF")).finding


def test_the_boxes_of_a_heif_file_are_listed() -> None:
    evidence = structure.measure(read_image(samples.encode(PHOTO, "HEIF")))

    assert evidence.details["segments"][0].startswith("ftyp heic")
    assert evidence.details["segments"][1:3] == ["meta", "meta/hdlr"]
    assert evidence.details["trailing"] == 0


@pytest.mark.parametrize(
    ("order", "maker", "told"),
    [
        (APPLE, "Apple", "The file is built as usual"),
        (LIBHEIF, "Apple", "do not stand in the order of Apple's encoder"),
        (APPLE, "samsung", "although the metadata names samsung"),
        (LIBHEIF, "samsung", "in the order of libheif and libavif"),
        (LIBHEIF, "", "The file is built as usual"),
        ((b"hdlr", b"iinf", b"pitm", b"iprp", b"iloc"), "samsung", "The file is built as usual"),
    ],
)
def test_the_order_of_the_boxes_tells_the_encoder(
    order: Sequence[bytes], maker: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told in heif(boxes(order, box(b"mdat", b"...")), maker, monkeypatch)


def test_additional_pictures_and_appended_data_of_a_heif_file_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds = b"urn:com:apple:photo:2020:aux:hdrgainmap\0urn:mpeg:hevc:2015:auxid:2\0"
    data = boxes(
        APPLE, box(b"mdat"), box(b"mdat"), box(b"sefd"), encoder=b"my encoder\0", meta=box(b"iprp", kinds)
    )

    told = heif(data, "", monkeypatch)

    assert "an HDR gain map and a depth map, which cameras add" in told
    assert "A second block of data follows the first" in told
    assert "additional data of a Samsung phone" in told
    assert "names its encoder: “my encoder”" in told


def test_an_archive_behind_a_heif_file_is_found() -> None:
    assert "an archive (ZIP)" in finding(samples.encode(PHOTO, "HEIF") + archive())


# TIFF, GIF and BMP


def tiff(
    *, big_endian: bool = False, directory_first: bool = True, gap: bytes = b"", maker: str = ""
) -> bytes:
    """Return a grey TIFF of 64 x 48 pixels, whose directory stands before or after the pixels."""
    order = ">" if big_endian else "<"
    pixels = bytes(range(48)) * 64
    text = maker.encode() + b"\0" * (6 - len(maker))
    entries = 9 if maker else 8
    length = 2 + 12 * entries + 4
    directory_at = 8 if directory_first else 8 + len(pixels) + len(text) + len(gap)
    pixels_at = 8 + (length if directory_first else 0) + len(gap)
    values = [(256, 3, 1, 64), (257, 3, 1, 48), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    values += [(271, 2, 6, pixels_at + len(pixels))] if maker else []
    values += [(273, 4, 1, pixels_at), (278, 3, 1, 48), (279, 4, 1, len(pixels))]
    directory = struct.pack(f"{order}H", len(values))
    for tag, kind, count, value in values:
        packed = struct.pack(f"{order}{'HH' if kind == 3 else 'L'}", *((value, 0) if kind == 3 else (value,)))
        directory += struct.pack(f"{order}HHL", tag, kind, count) + packed
    directory += bytes(4)
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{order}L", directory_at)
    body = gap + pixels + text
    return head + (directory + body if directory_first else body + directory)


@pytest.mark.parametrize("big_endian", [False, True])
def test_the_parts_of_a_tiff_are_listed_in_their_order(big_endian: bool) -> None:
    order = "big-endian" if big_endian else "little-endian"
    first = structure.measure(read_image(tiff(big_endian=big_endian)))
    last = structure.measure(read_image(tiff(big_endian=big_endian, directory_first=False)))

    assert first.details["segments"] == [f"TIFF {order}", "IFD0", "pixels"]
    assert last.details["segments"] == [f"TIFF {order}", "pixels", "IFD0"]
    assert "built as usual" in first.finding
    assert "built as usual" in last.finding


def test_a_directory_behind_the_pixels_is_worth_a_word_where_a_camera_is_named() -> None:
    assert "stands after the pixels" in finding(tiff(directory_first=False, maker="Canon"))
    assert "stands after the pixels" not in finding(tiff(maker="Canon"))


def test_bytes_of_a_tiff_that_nothing_refers_to_are_counted() -> None:
    assert "Nothing in the file refers to 100 bytes inside it" in finding(tiff(gap=b"x" * 100))
    assert "Nothing in the file refers" not in finding(tiff(gap=bytes(100)))


def test_further_pages_and_big_files_are_parts_of_a_tiff() -> None:
    pages = structure.measure(read_image(samples.several("TIFF")))
    big = structure.measure(read_image(samples.encode(PHOTO, "TIFF", big_tiff=True)))

    assert "IFD" in pages.details["segments"]
    assert big.details["segments"][0] == "BigTIFF little-endian"
    assert "built as usual" in pages.finding
    assert "built as usual" in big.finding


@pytest.mark.parametrize(
    ("tag", "named"), [(37724, "Adobe Photoshop"), (50838, "ImageJ"), (33550, "GeoTIFF"), (50706, "DNG")]
)
def test_programs_and_fields_are_known_by_the_tags_of_a_tiff(tag: int, named: str) -> None:
    block = TiffImagePlugin.ImageFileDirectory_v2()
    block[tag] = b"1234"
    block.tagtype[tag] = TiffTags.BYTE

    evidence = structure.measure(read_image(samples.encode(PHOTO, "TIFF", tiffinfo=block)))

    assert named in evidence.finding
    assert evidence.strength == 0


def test_a_tiff_that_leads_back_to_itself_or_has_endless_pieces_ends() -> None:
    endless = 2**16
    entries = [(tag, 4, endless, 8) for tag in (273, 279, 324, 325, 513, 514)] + [(330, 4, endless, 8)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHLL", *each) for each in entries)
    start = 8 + 4 * endless
    data = b"II*\0" + struct.pack("<L", start) + bytes(4 * endless) + directory + struct.pack("<L", start)

    evidence = structure.measure(Image(PHOTO, data, "TIFF"))

    assert evidence.details["segments"] == ["TIFF little-endian", "pixels", "IFD0"]


@pytest.mark.parametrize("tag", [330, 34665, 273])
def test_a_tag_of_a_tiff_that_leads_past_the_end_of_the_file_is_passed_over(tag: int) -> None:
    directory = struct.pack("<HHHLLHHLLL", 2, tag, 4, 4, 10_000, 279, 4, 4, 10_000, 0)
    data = b"II*\0" + struct.pack("<L", 8) + directory

    assert structure.measure(Image(PHOTO, data, "TIFF")).details["segments"] == ["TIFF little-endian", "IFD0"]


@pytest.mark.parametrize("cut", [20, 200])
def test_a_tiff_or_bitmap_that_ends_within_the_picture_says_so(cut: int) -> None:
    for image_format in ("TIFF", "BMP"):
        data = samples.encode(PHOTO, image_format)
        assert "The file ends within the picture" in (
            structure.measure(Image(PHOTO, data[:-cut], image_format)).finding
        )


def test_the_blocks_of_a_gif_are_listed() -> None:
    data = samples.encode(PHOTO, "GIF", comment=b"by hand")

    evidence = structure.measure(read_image(data))

    assert evidence.details["segments"] == ["GIF89a", "comment", "picture"]
    assert "built as usual" in evidence.finding
    assert "The file ends within the picture" in structure.measure(Image(PHOTO, data[:-1], "GIF")).finding


def test_an_animation_and_programs_are_known_by_the_blocks_of_a_gif() -> None:
    animation = samples.several("GIF")
    block = b"!\xff\x0bADOBE:IR1.0\3abc\0"

    assert "The file is an animation" in finding(animation)
    assert "a block of Adobe ImageReady" in finding(animation[:-1] + block + b";")
    assert "ADOBE:IR1.0" in structure.measure(read_image(animation[:-1] + block + b";")).details["segments"]


def test_bytes_between_the_blocks_of_a_gif_are_counted() -> None:
    data = samples.encode(PHOTO, "GIF")

    assert "5 bytes between the blocks" in finding(data[:-1] + b"hello!\xfe\1x\0;")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_bitmap_of_every_depth_is_built_as_usual(mode: str) -> None:
    data = samples.encode(PIL.Image.fromarray(PHOTO).convert(mode), "BMP")

    assert "built as usual" in finding(data)


def test_a_bitmap_whose_header_and_picture_disagree_is_incoherent() -> None:
    data = samples.encode(PHOTO, "BMP")
    start = int.from_bytes(data[10:14], "little")
    declared = data[:2] + (len(data) + 5000).to_bytes(4, "little") + data[6:]
    moved = (
        data[:10] + (start + 40).to_bytes(4, "little") + data[14:start] + b"secret".ljust(40) + data[start:]
    )

    assert "The header declares a file of" in finding(declared)
    assert "40 bytes before the pixels belong to no part" in finding(moved)
    assert "40 bytes before the pixels" not in finding(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\0",
        b"\0\0\0\1mdat",
        box(b"meta") * 5000,
        boxes(APPLE)[:40],
        b"II*\0\x08\0\0\0" + b"\xff" * 300,
    ],
)
@pytest.mark.parametrize("image_format", ["HEIF", "AVIF", "PNG", "WEBP", "JPEG", "TIFF", "GIF", "BMP"])
def test_damaged_files_do_not_raise(data: bytes, image_format: str) -> None:
    evidence = structure.measure(Image(PHOTO, data, image_format))

    assert len(evidence.details["segments"]) <= 100


def finding(data: bytes) -> str:
    return structure.measure(read_image(data)).finding
