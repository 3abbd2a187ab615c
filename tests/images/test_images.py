from __future__ import annotations

import base64
import doctest
import gc
import hashlib
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import FrozenInstanceError
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

import samples
from tamperscope import images
from tamperscope.errors import (
    DamagedImageError,
    EmptyImageError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    UnsupportedImageError,
)
from tamperscope.images import ImageLimits, read_image, read_size


def difference(pixels: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean absolute difference: below 10 for a lossy format, above for a wrong conversion."""
    assert pixels.shape == expected.shape
    return float(np.abs(pixels.astype(float) - expected).mean())


def test_the_examples_in_docstrings_run() -> None:
    results = doctest.testmod(images)
    assert results.attempted
    assert not results.failed


# Sources


def test_every_kind_of_source_gives_the_same_pixels(tmp_path: Path) -> None:
    data = samples.encode(samples.photo(), "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    sources = [
        data,
        bytearray(data),
        memoryview(data),
        str(path),
        path,
        BytesIO(data),
        PIL.Image.open(BytesIO(data)),
        samples.photo(),
    ]
    for source in sources:
        assert np.array_equal(read_image(source).pixels, samples.photo())


def test_the_original_bytes_are_kept_and_identified() -> None:
    data = samples.encode(samples.photo())
    image = read_image(BytesIO(data))
    facts = image.facts()
    assert image.data == data
    assert (facts.width, facts.height, facts.format) == (64, 48, "JPEG")
    assert (facts.byte_count, facts.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_an_array_is_identified_by_its_pixels() -> None:
    image = read_image(samples.photo())
    assert image.format == "ARRAY"
    assert image.data == samples.photo().tobytes()
    assert image.facts() == read_image(PIL.Image.fromarray(samples.photo())).facts()


def test_an_image_cannot_change_after_reading() -> None:
    array = samples.photo().copy()
    for source in (array, samples.encode(array, "PNG")):
        image = read_image(source)
        array[:] = 0
        assert np.array_equal(image.pixels, samples.photo())
        with pytest.raises(ValueError, match="read-only"):
            image.pixels[0, 0] = 0
        with pytest.raises(FrozenInstanceError):
            image.format = "PNG"  # type: ignore[misc]


def test_grey_and_transparent_arrays_are_read() -> None:
    grey = samples.photo()[..., 0]
    assert np.array_equal(read_image(grey).pixels, np.dstack([grey] * 3))
    opaque = np.dstack([samples.photo(), np.full_like(grey, 255)])
    assert np.array_equal(read_image(opaque).pixels, samples.photo())


@pytest.mark.parametrize(
    "array", [np.zeros((64, 64, 3)), np.zeros((64, 64, 2), np.uint8), np.zeros(64, np.uint8)]
)
def test_the_refusal_of_another_kind_of_array_names_what_is_expected(array: np.ndarray) -> None:
    with pytest.raises(UnsupportedImageError, match="must be uint8 of shape"):
        read_image(array)


@pytest.mark.parametrize("source", [None, 3, StringIO("text")])
def test_an_unsupported_source_is_a_type_error(source: object) -> None:
    with pytest.raises(TypeError):
        read_image(source)  # type: ignore[arg-type]


# Formats


@pytest.mark.parametrize(("name", "data"), samples.every_format().items())
def test_every_format_is_read_whatever_it_is_called(name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "misnamed.txt"
    path.write_bytes(data)
    image = read_image(path)
    assert image.format == {"HEIC": "HEIF"}.get(name, name.split()[-1].upper())
    assert image.notes == ()
    assert image.pixels.flags.c_contiguous
    assert difference(image.pixels, samples.photo()) < 10


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(image_format: str, orientation: int) -> None:
    upright = samples.photo()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = samples.exif_orientation(orientation)
    image = read_image(samples.encode(np.ascontiguousarray(stored), image_format, exif=exif.tobytes()))
    assert difference(image.pixels, upright) < 10
    # libheif itself turns the picture while decoding it.
    turned = orientation > 1 and image_format != "HEIF"
    assert image.notes == (("turned upright according to its EXIF orientation",) if turned else ())


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP"])
def test_the_size_in_the_header_is_that_of_the_upright_image(
    image_format: str, orientation: int, tmp_path: Path
) -> None:
    path = tmp_path / "photo"
    options = {"exif": samples.exif_orientation(orientation).tobytes()} if image_format != "BMP" else {}
    data = samples.encode(samples.photo(), image_format, **options)
    path.write_bytes(data)
    image = read_image(path)
    assert read_size(path) == read_size(data) == (image.width, image.height)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    data = samples.encode(samples.photo(), exif=samples.exif_orientation(orientation))
    image = read_image(data)
    assert (image.width, image.height, image.orientation, image.notes) == (64, 48, 1, ())
    assert read_size(data) == (64, 48)


def test_an_invalid_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_text("not an image")
    with pytest.raises(DamagedImageError):
        read_size(path)


def test_a_pillow_image_with_an_orientation_is_turned() -> None:
    stored = np.ascontiguousarray(np.rot90(samples.photo()))
    data = samples.encode(stored, "PNG", exif=samples.exif_orientation(6))
    assert np.array_equal(read_image(PIL.Image.open(BytesIO(data))).pixels, samples.photo())


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0"])
def test_unreadable_exif_does_not_refuse_a_photo(exif: bytes) -> None:
    assert read_image(samples.encode(samples.photo(), exif=exif)).height == 48


@pytest.mark.parametrize(
    ("image_format", "note"),
    [
        ("TIFF", "first of 3 pages"),
        ("GIF", "first frame of an animation"),
        ("PNG", "first frame of an animation"),
        ("WEBP", "first frame of an animation"),
        ("AVIF", "first frame of an animation"),
        ("HEIF", "main picture of 3 in the file"),
        ("MPO", "main picture of 3 in the file"),
    ],
)
def test_the_first_of_several_pictures_is_read_and_the_report_states_so(image_format: str, note: str) -> None:
    image = read_image(samples.several(image_format))
    assert image.notes == (note,)
    assert difference(image.pixels, samples.photo()) < 10


def test_the_still_picture_of_an_animated_png_is_named_as_such() -> None:
    image = read_image(samples.several("PNG", default_image=True))
    assert image.notes == ("still picture of an animated file",)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_palette_of_few_colours_keeps_them(bits: int) -> None:
    indices = np.indices((48, 64)).sum(axis=0) % 2**bits
    palette = np.random.default_rng(0).integers(0, 256, (2**bits, 3), dtype=np.uint8)
    picture = PIL.Image.fromarray(indices.astype(np.uint8)).convert("P")
    picture.putpalette(palette.tobytes())
    image = read_image(samples.encode(picture, "PNG", bits=bits))
    assert np.array_equal(image.pixels, palette[indices])


def test_a_bilevel_png_is_black_and_white() -> None:
    light = samples.photo()[..., 0] > 128
    image = read_image(samples.encode(PIL.Image.fromarray(light), "PNG"))
    assert np.array_equal(image.pixels, np.dstack([light * np.uint8(255)] * 3))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_areas_are_put_on_white(mode: str) -> None:
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 128
    picture = PIL.Image.fromarray(np.dstack([samples.photo(), alpha])).convert(mode)
    colours = np.asarray(picture.convert("RGB")).astype(float)
    image = read_image(samples.encode(picture, "PNG"))
    assert image.notes == ("transparent areas were put on white",)
    assert np.abs(image.pixels - (colours * alpha[..., None] / 255 + 255 - alpha[..., None])).max() <= 1
    assert np.array_equal(image.pixels[20:], colours[20:])


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_put_on_white(image_format: str) -> None:
    picture = PIL.Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8), 16 * 48).reshape(64, 48)).convert(
        "P"
    )
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image = read_image(samples.encode(picture, image_format, transparency=2))
    assert image.pixels[[0, 20, 40, 60], 5].tolist() == [[0, 0, 0], [255, 0, 0], [255, 255, 255], [0, 0, 255]]


def test_a_transparent_colour_is_put_on_white() -> None:
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[:32] = (10, 20, 30)
    image = read_image(samples.encode(colours, "PNG", transparency=(10, 20, 30)))
    assert image.pixels[[0, 63], 0].tolist() == [[255, 255, 255], [0, 0, 0]]


def test_an_alpha_channel_that_hides_nothing_changes_nothing() -> None:
    opaque = PIL.Image.fromarray(samples.photo()).convert("RGBA")
    image = read_image(samples.encode(opaque, "PNG"))
    assert np.array_equal(image.pixels, samples.photo())
    assert image.notes == ()


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_deep_grey_is_scaled_not_clipped(image_format: str) -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    image = read_image(samples.encode(ramp, image_format))
    assert image.notes == ("16-bit samples reduced to 8",)
    assert np.abs(image.pixels[..., 1] - ramp / 257).max() <= 1


def test_twelve_bit_white_is_white() -> None:
    image = read_image(samples.tiff_with(258, 12, pixels=b"\xff" * (64 * 48 * 3 // 2)))
    assert image.notes == ("12-bit samples reduced to 8",)
    assert image.pixels.min() == 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_whose_zero_is_white_is_inverted(dtype: type[np.generic]) -> None:
    whole = 1 if dtype is np.float32 else np.iinfo(dtype).max
    dark = np.full((48, 64), whole * 0.8, dtype)
    data = samples.encode(dark, "TIFF")
    photometric = struct.Struct("<HHLL")
    data = data.replace(photometric.pack(262, 3, 1, 1), photometric.pack(262, 3, 1, 0))
    assert abs(int(read_image(data).pixels.max()) - 51) <= 1


def test_deep_colour_is_scaled_not_clipped() -> None:
    deep = samples.photo().astype(">u2") * np.array(257, ">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    data = samples.png(64, 48, (b"IDAT", zlib.compress(rows)), bits=16)
    image = read_image(data)
    assert image.notes == ("16-bit samples reduced to 8",)
    assert np.array_equal(image.pixels, samples.photo())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_planes_of_a_tiff_may_be_separate(bits: int, order: str) -> None:
    data = planar_tiff(bits, order)
    assert np.array_equal(read_image(data).pixels, samples.photo())
    assert np.array_equal(read_image(PIL.Image.open(BytesIO(data))).pixels, samples.photo())


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_without_its_last_plane_is_damaged(bits: int) -> None:
    with pytest.raises(DamagedImageError, match="fewer pixels"):
        read_image(planar_tiff(bits, "<", planes=2))


def planar_tiff(bits: int, order: str, planes: int = 3) -> bytes:
    """Return `samples.photo()` as an RGB TIFF that holds each colour on its own."""
    deep = samples.photo().astype(f"{order}u2") * np.array(257, f"{order}u2")
    colours = (samples.photo() if bits == 8 else deep).transpose(2, 0, 1)[:planes]
    length = colours[0].nbytes
    at = 8 + planes * length
    tags = {256: 64, 257: 48, 258: bits, 259: 1, 262: 2, 277: 3, 278: 48, 284: 2}
    entries = {tag: (4, 1, value) for tag, value in tags.items()}
    entries |= {273: (4, planes, at), 279: (4, planes, at + 4 * planes)}
    places = [*range(8, at, length), *[length] * planes]
    return b"".join(
        (
            b"II*\0" if order == "<" else b"MM\0*",
            struct.pack(f"{order}L", at + 8 * planes),
            colours.tobytes(),
            struct.pack(f"{order}{2 * planes}L", *places),
            struct.pack(f"{order}H", len(entries)),
            *(struct.pack(f"{order}HHLL", tag, *entry) for tag, entry in sorted(entries.items())),
            bytes(4),
        )
    )


# 64 x 48 pixels of 10 bits, by libavif. Pillow writes 8 bits only.
DEEP_AVIF = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA"
    "AAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAKQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEA"
    "AGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAQAAAADAAAAAQcGl4aQAAAAADCgoKAAAADGF2MUOBIEAA"
    "AAAAE2NvbHJuY2x4AAIAAgAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAAMW1kYXQSAAoJOBV/vbwICBpAMhodgmLE4AAWKAAA"
    "l7cVrPTeYGSaE/+BqACbUA=="
)


def test_the_depth_of_an_avif_is_noted() -> None:
    assert read_image(DEEP_AVIF).notes == ("10-bit samples reduced to 8",)
    assert read_image(samples.encode(samples.photo(), "AVIF")).notes == ()


def test_floating_samples_from_0_to_1_are_black_to_white() -> None:
    ramp = np.linspace(0.2, 0.6, 64 * 48, dtype=np.float32).reshape(48, 64)
    image = read_image(samples.encode(ramp, "TIFF"))
    assert np.abs(image.pixels[..., 0] - ramp * 255).max() <= 1


def test_samples_without_a_white_point_are_scaled_and_the_report_states_so() -> None:
    samples_without_white = np.linspace(-500, 1500, 64 * 48).reshape(48, 64).astype(np.int32)
    image = read_image(samples.encode(samples_without_white, "TIFF"))
    assert "sample values from -500 to 1500 were scaled to 0 to 255" in image.notes
    assert (image.pixels.min(), image.pixels.max()) == (0, 255)


INKS = 255 - np.dstack([samples.photo(), np.full((48, 64), 255, np.uint8)])


def test_cmyk_as_adobe_stores_it() -> None:
    data = samples.encode(PIL.Image.fromarray(INKS, "CMYK"), quality=95)
    assert b"Adobe" in data
    image = read_image(data)
    assert image.notes == ("CMYK converted to RGB without its colour profile",)
    assert difference(image.pixels, samples.photo()) < 10


def test_cmyk_without_adobes_marker_is_not_inverted() -> None:
    data = samples.encode(PIL.Image.fromarray(255 - INKS, "CMYK"), quality=95)
    marker = data.index(b"\xff\xee")
    bare = data[:marker] + data[marker + 2 + int.from_bytes(data[marker + 2 : marker + 4]) :]
    assert difference(read_image(bare).pixels, samples.photo()) < 10


def test_ycck() -> None:
    # Adobe's inverted inks, seen as RGB by the YCC transform, are the inks themselves.
    y_cb_cr = np.asarray(PIL.Image.fromarray(INKS[..., :3]).convert("YCbCr"))
    # Pillow stores 255 - value; the marker then states that the first three are Y, Cb and Cr.
    stored = PIL.Image.fromarray(np.dstack([255 - y_cb_cr, INKS[..., 3]]), "CMYK")
    data = bytearray(samples.encode(stored, quality=95))
    data[data.index(b"Adobe") + 11] = 2
    assert difference(read_image(bytes(data)).pixels, samples.photo()) < 10


def test_a_colour_profile_leaves_the_samples_alone() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    image = read_image(samples.encode(samples.photo(), "PNG", icc_profile=icc))
    assert np.array_equal(image.pixels, samples.photo())


# Refusals


@pytest.mark.parametrize(("name", "data"), samples.every_format().items())
def test_a_truncated_file_is_damaged(name: str, data: bytes) -> None:
    cuts = {16, 40, len(data) // 4, len(data) // 2, len(data) * 9 // 10, len(data) - 5}
    for cut in cuts:
        with pytest.raises(DamagedImageError, match="incomplete"):
            read_image(data[:cut])


@pytest.mark.parametrize("at", [2, 20, -2])
def test_a_jpeg_that_starts_twice_says_so(at: int) -> None:
    """libjpeg refuses it, wherever the second start stands; after the end it is another picture."""
    data = samples.encode(samples.photo())

    with pytest.raises(DamagedImageError, match="starts twice"):
        read_image(data[:at] + b"\xff\xd8" + data[at:])
    assert read_image(data + data).width == samples.photo().shape[1]


def test_no_bytes() -> None:
    with pytest.raises(EmptyImageError):
        read_image(b"")
    with pytest.raises(EmptyImageError):
        read_image(BytesIO())


@pytest.mark.parametrize(
    "data",
    [
        b"just some text, whatever the file is called",
        b"BMW is a maker of cars in Munich",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"%PDF-1.7\n",
        samples.svg(),
        b"\xff",
    ],
)
def test_other_content_is_unsupported(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(UnsupportedImageError, match="send a JPEG"):
        read_image(path)


def test_a_crop_inside_the_file_can_leave_too_little() -> None:
    with pytest.raises(ImageTooSmallError, match="3 x 48 pixels"):
        read_image(samples.heif_of_a_narrow_crop())


@pytest.mark.parametrize("size", [(1, 1), (31, 200), (200, 31)])
def test_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooSmallError, match=f"{size[0]} x {size[1]} pixels"):
        read_image(samples.encode(samples.photo(*size), "PNG"))


def test_the_smallest_image_is_read() -> None:
    assert read_image(samples.encode(samples.photo(32, 32))).pixels.shape == (32, 32, 3)


def test_the_given_limits_apply() -> None:
    data = samples.encode(samples.photo(), "BMP")
    assert read_image(data, ImageLimits(bytes=len(data), pixels=64 * 48, min_side=48)).width == 64
    for source in (data, BytesIO(data)):
        with pytest.raises(ImageTooLargeError, match="larger than"):
            read_image(source, ImageLimits(bytes=len(data) - 1))
    for source in (data, samples.photo(), PIL.Image.fromarray(samples.photo())):
        with pytest.raises(ImageTooLargeError, match="64 x 48 pixels"):
            read_image(source, ImageLimits(pixels=64 * 48 - 1))


@pytest.mark.parametrize(
    "data",
    [
        samples.huge_png(),
        samples.huge_gif(),
        samples.tiff_with(256, 2**31 - 1),
        samples.huge_behind_a_crop("HEIF"),
        samples.huge_behind_a_crop("AVIF"),
    ],
    ids=["PNG", "GIF", "TIFF", "HEIF", "AVIF"],
)
def test_a_huge_size_is_refused_from_the_header(data: bytes) -> None:
    with pytest.raises(ImageTooLargeError):
        read_image(data)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF"])
def test_too_many_pixels_are_refused_before_any_is_decoded(
    image_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = samples.encode(samples.photo(), image_format)

    def decode(picture: object) -> None:
        raise AssertionError("decoded")

    for cls in {type(PIL.Image.open(BytesIO(data))), PIL.Image.Image}:
        monkeypatch.setattr(cls, "load", decode)
    with pytest.raises(ImageTooLargeError, match="pixels; at most"):
        read_image(data, ImageLimits(pixels=1000))


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt", b"IDAT"])
def test_a_png_bomb_takes_no_memory(kind: bytes) -> None:
    data = samples.png_bomb(kind)
    tracemalloc.start()
    with suppress(DamagedImageError):
        read_image(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20


def test_an_image_within_our_limits_but_above_pillows_is_read_without_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    for image_format in ("PNG", "TIFF", "WEBP"):
        assert read_image(samples.encode(samples.photo(), image_format)).width == 64


def test_a_chain_of_many_tiff_pages_is_not_walked_to_its_end() -> None:
    assert read_image(samples.tiff_of_many_pages()).notes == ("first of very many pages",)


@pytest.mark.parametrize(("name", "data"), samples.laborious().items())
def test_a_file_of_very_many_pieces_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(DamagedImageError, match=f"{name.split()[0]} file has more .* any encoder writes"):
        read_image(data)


@pytest.mark.parametrize("tag", [257, 258, 259, 262, 273, 277])
def test_a_tiff_with_false_tags_is_damaged(tag: int) -> None:
    with pytest.raises(ImageError):
        read_image(samples.tiff_with(tag, 60_000))


def test_no_error_names_the_file_or_the_library(tmp_path: Path) -> None:
    for data in (b"text", samples.encode(samples.photo())[:300], samples.huge_png(), b""):
        path = tmp_path / "secret-name.jpg"
        path.write_bytes(data)
        with pytest.raises(ImageError) as refusal:
            read_image(path)
        assert not {"secret", "PIL", "Pillow", "BytesIO", "/"} & set(str(refusal.value).split())
        assert "secret" not in str(refusal.value)


def test_a_corrupted_file_never_raises_anything_but_our_errors() -> None:
    generator = np.random.default_rng(0)
    for data in samples.every_format().values():
        for _ in range(12):
            corrupted = np.frombuffer(data, np.uint8).copy()
            places = generator.integers(0, min(len(data), 400), 5)
            corrupted[places] = generator.integers(0, 256, 5)
            try:
                image = read_image(corrupted.tobytes())
            except ImageError:
                continue
            assert image.jpeg is None or image.format == "JPEG"


def test_memory_is_released_after_refusals() -> None:
    hostile = [samples.huge_png(), samples.png_bomb(b"zTXt"), samples.encode(samples.photo(400, 300))[:3000]]

    def refuse_all() -> None:
        for data in hostile:
            with pytest.raises(ImageError):
                read_image(data)

    refuse_all()
    gc.collect()
    tracemalloc.start()
    for _ in range(5):
        refuse_all()
    gc.collect()
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert left < 2**18


# JPEG structure


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_coefficients_rebuild_the_luminance(progressive: bool, subsampling: str) -> None:
    data = samples.encode(samples.photo(67, 45), progressive=progressive, subsampling=subsampling, quality=80)
    jpeg = read_image(data).jpeg
    assert jpeg is not None
    assert jpeg.progressive is progressive
    assert jpeg.sampling_factors[0] == {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}[subsampling]
    assert jpeg.sampling_factors[1:] == ((1, 1), (1, 1))
    assert jpeg.coefficients[0].shape == (6, 9, 8, 8)
    assert {plane.dtype for plane in jpeg.coefficients} == {np.dtype(np.int16)}
    frequency, position = np.indices((8, 8))
    cosines = np.cos(np.pi * (2 * position + 1) * frequency / 16) / 2
    cosines[0] /= np.sqrt(2)
    blocks = cosines.T @ (jpeg.coefficients[0].astype(float) * jpeg.quantisation_tables[0]) @ cosines
    luminance = blocks.transpose(0, 2, 1, 3).reshape(48, 72)[:45, :67] + 128
    decoded = np.asarray(PIL.Image.open(BytesIO(data)).convert("L"))
    assert np.abs(luminance - decoded).mean() < 1


def test_every_component_has_its_own_table() -> None:
    luminance, chrominance = list(range(1, 65)), list(range(101, 165))
    jpeg = read_image(samples.encode(samples.photo(), qtables=[luminance, chrominance])).jpeg
    assert jpeg is not None
    assert [table[0, 0] for table in jpeg.quantisation_tables] == [1, 101, 101]
    assert sorted(jpeg.quantisation_tables[0].ravel()) == luminance
    assert jpeg.quantisation_tables[0].dtype == np.uint16


def test_the_structure_keeps_the_stored_orientation() -> None:
    image = read_image(samples.encode(samples.photo(), exif=samples.exif_orientation(6)))
    assert image.pixels.shape == (64, 48, 3)
    assert image.jpeg is not None
    assert image.jpeg.coefficients[0].shape[:2] == (6, 8)


def test_a_jpeg_whose_channel_names_no_table_has_no_structure() -> None:
    image = read_image(samples.jpeg_with_a_channel_of_no_table())
    assert image.pixels.shape == (48, 64, 3)
    assert image.jpeg is None


@pytest.mark.parametrize(("mode", "components"), [("L", 1), ("CMYK", 4)])
def test_grey_and_cmyk_have_their_components(mode: str, components: int) -> None:
    jpeg = read_image(samples.encode(PIL.Image.fromarray(samples.photo()).convert(mode))).jpeg
    assert jpeg is not None
    assert len(jpeg.coefficients) == len(jpeg.quantisation_tables) == len(jpeg.sampling_factors) == components


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_other_formats_have_no_jpeg_structure(image_format: str) -> None:
    assert read_image(samples.encode(samples.photo(), image_format)).jpeg is None


def test_any_amount_of_metadata_is_accepted() -> None:
    data = samples.encode(samples.photo())
    comments = b"\xff\xfe\x00\x06\xff\xda\xff\xd9" * 300
    jpeg = read_image(data[:2] + comments + data[2:]).jpeg
    plain = read_image(data).jpeg
    assert jpeg is not None
    assert plain is not None
    assert np.array_equal(jpeg.coefficients[0], plain.coefficients[0])


def test_a_structure_is_read_once() -> None:
    image = read_image(samples.encode(samples.photo()))
    assert image.jpeg is image.jpeg


def test_structures_are_read_safely_in_many_threads() -> None:
    comment = b"\xff\xfe\x10\x02" + bytes(4096)
    photos = [samples.encode(samples.photo(seed=seed)) for seed in range(4)]
    expected = [read_image(data).jpeg for data in photos]

    def coefficients(number: int) -> np.ndarray:
        data = photos[number % 4]
        jpeg = read_image(data[:2] + comment + data[2:]).jpeg
        assert jpeg is not None
        return jpeg.coefficients[0]

    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(coefficients, range(80))):
            reference = expected[number % 4]
            assert reference is not None
            assert np.array_equal(found, reference.coefficients[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_planes_turn_between_the_file_and_the_upright_picture(orientation: int) -> None:
    exif = samples.exif_orientation(orientation)
    straight = read_image(samples.encode(samples.photo()))
    image = read_image(samples.encode(samples.photo(), exif=exif))
    assert image.orientation == orientation
    assert np.array_equal(image.stored(image.pixels[..., 0]), straight.pixels[..., 0])
    assert np.array_equal(image.upright(straight.pixels[..., 0]), image.pixels[..., 0])


@pytest.mark.parametrize("size", [(65_501, 40), (40, 65_501)])
def test_a_side_that_cannot_be_compressed_again_is_refused(size):
    data = samples.encode(PIL.Image.new("L", size), "PNG")

    with pytest.raises(ImageTooLargeError, match="a side may have at most 65500"):
        read_image(data)
    assert read_image(samples.encode(PIL.Image.new("L", (65_500, 40)), "PNG")).width == 65_500
