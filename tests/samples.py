"""Small images for tests: ordinary ones in any format, and hostile ones."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pi_heif
import PIL.ExifTags
import PIL.Image
import pillow_heif
from numpy.typing import NDArray

# It encodes; decoding stays with the plugin that the package uses.
pillow_heif.register_heif_opener()
pi_heif.register_heif_opener()


def photo(width: int = 64, height: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """Return a smooth, colourful image without symmetry: (height, width, 3) uint8, RGB."""
    coarse = np.random.default_rng(seed).integers(20, 236, (4, 5, 3), dtype=np.uint8)
    picture = PIL.Image.fromarray(coarse).resize((width, height), PIL.Image.Resampling.BICUBIC)
    return np.asarray(picture)


def scene(width: int = 512, height: int = 384, seed: int = 0) -> NDArray[np.uint8]:
    """Return an uncompressed image with detail at every scale and noise, as in a photo.

    The result is (height, width, 3) uint8, RGB.
    """
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 128.0)
    for scale in (3, 6, 16, 48):
        coarse = rng.normal(0, 12, (height // scale + 2, width // scale + 2, 3)).astype(np.float32)
        mostly_grey = coarse[..., :1] + 0.1 * coarse
        picture += cv2.resize(mostly_grey, (width, height), interpolation=cv2.INTER_CUBIC)
    picture += rng.normal(0, 0.7, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def decode(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels of a file: (height, width, 3) uint8, RGB."""
    return np.asarray(PIL.Image.open(BytesIO(data)).convert("RGB"))


def encode(picture: PIL.Image.Image | NDArray[Any], image_format: str = "JPEG", **options: Any) -> bytes:
    """Return an image as a file of the given format, with Pillow's options."""
    if isinstance(picture, np.ndarray):
        picture = PIL.Image.fromarray(picture)
    file = BytesIO()
    # Saving leaves encoder settings on the image, hence the copy.
    picture.copy().save(file, image_format, **options)
    return file.getvalue()


def write(path: Path, picture: NDArray[Any]) -> Path:
    """Write an image in the format of the path's suffix, create missing folders, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(picture).save(path)
    return path


def several(image_format: str, **options: Any) -> bytes:
    """Return a file with three different images; the first is `photo()`."""
    first, *others = (PIL.Image.fromarray(photo(seed=seed)) for seed in range(3))
    return encode(first, image_format, save_all=True, append_images=others, **options)


def with_preview(thumbnail: np.ndarray, orientation: int = 1, picture: np.ndarray | None = None) -> bytes:
    """Return a JPEG of `picture`, by default `photo(120, 80)`, with the thumbnail in its EXIF."""
    small = encode(thumbnail)
    main = struct.pack("<HHHLHHL", 1, 0x0112, 3, 1, orientation, 0, 26)
    first = (
        struct.pack("<H", 2)
        + struct.pack("<HHLL", 0x0201, 4, 1, 56)
        + struct.pack("<HHLL", 0x0202, 4, 1, len(small))
    )
    block = b"II*\0" + struct.pack("<L", 8) + main + first + bytes(4) + small
    picture = photo(120, 80) if picture is None else picture
    return encode(picture, exif=b"Exif\0\0" + block)


def exif(**fields: str) -> PIL.Image.Exif:
    """Return EXIF with texts by the names of their tags, such as `Make="Canon"`."""
    written = PIL.Image.Exif()
    for name, value in fields.items():
        written[PIL.ExifTags.Base[name]] = value
    return written


def exif_orientation(orientation: int) -> PIL.Image.Exif:
    """Return EXIF that holds only an orientation."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif


def write_dataset(folder: Path, *, forged: int, authentic: int, side: int = 64) -> Path:
    """Write a dataset in the plain layout, and return its folder.

    The fake detector finds each forgery, and half of what it marks is right.
    """
    truth = np.zeros((side, side), np.uint8)
    truth[side // 8 : side // 2, side // 8 : side * 5 // 16] = 255
    for part in ("images", "masks", "authentic"):
        (folder / part).mkdir(parents=True)
    for number in range(forged):
        (folder / "images" / f"{number}.png").write_bytes(encode(photo(side, side, seed=number), "PNG"))
        (folder / "masks" / f"{number}.png").write_bytes(encode(truth, "PNG"))
    for number in range(authentic):
        untouched = photo(side, side, seed=100 + number) * np.array([0, 1, 1], np.uint8)
        (folder / "authentic" / f"{number}.png").write_bytes(encode(untouched, "PNG"))
    return folder


def every_format() -> dict[str, bytes]:
    """Return `photo()` in each supported format, and in the main variants of some formats."""
    return {
        "JPEG": encode(photo()),
        "progressive JPEG": encode(photo(), progressive=True),
        "PNG": encode(photo(), "PNG"),
        "WebP": encode(photo(), "WEBP"),
        "lossless WebP": encode(photo(), "WEBP", lossless=True),
        "TIFF": encode(photo(), "TIFF"),
        "LZW TIFF": encode(photo(), "TIFF", compression="tiff_lzw"),
        "BMP": encode(photo(), "BMP"),
        "GIF": encode(photo(), "GIF"),
        "HEIC": encode(photo(), "HEIF"),
        "AVIF": encode(photo(), "AVIF"),
    }


def png(width: int, height: int, *chunks: tuple[bytes, bytes], colour_type: int = 2, bits: int = 8) -> bytes:
    """Return a PNG with this header and these chunks; its form is valid, whatever the chunks hold."""
    header = struct.pack(">LLBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), *chunks, (b"IEND", b""))
    )


def huge_png() -> bytes:
    """Return a PNG of less than a hundred bytes that declares 50,000 x 50,000 pixels."""
    return png(50_000, 50_000, (b"IDAT", zlib.compress(b"")))


def png_bomb(kind: bytes) -> bytes:
    """Return a 64 x 64 PNG with one chunk (iCCP, zTXt, iTXt or IDAT) that inflates to 100 MB."""
    compressor = zlib.compressobj(9)
    zeros = bytes(2**20)
    bomb = b"".join(compressor.compress(zeros) for _ in range(100)) + compressor.flush()
    prefix = {b"iCCP": b"x\0\0", b"zTXt": b"x\0\0", b"iTXt": b"x\0\1\0\0\0", b"IDAT": b""}[kind]
    pixels = [] if kind == b"IDAT" else [(b"IDAT", zlib.compress(bytes(64 * (1 + 3 * 64))))]
    return png(64, 64, (kind, prefix + bomb), *pixels)


def huge_gif() -> bytes:
    """Return a GIF whose canvas is as large as the format allows."""
    return b"GIF89a" + struct.pack("<HH", 65535, 65535) + encode(photo(), "GIF")[10:]


def huge_behind_a_crop(image_format: str) -> bytes:
    """Return a HEIF or AVIF that declares 20,000 x 20,000 pixels; HEIF crops them to 64 x 48."""
    data = bytearray(encode(photo(), image_format))
    extents = data.index(b"ispe")
    data[extents + 8 : extents + 16] = struct.pack(">LL", 20_000, 20_000)
    return bytes(data)


def heif_of_a_narrow_crop() -> bytes:
    """Return a HEIF that declares 64 x 48 pixels, cropped to 3 x 48."""
    data = bytearray(encode(photo(), "HEIF"))
    aperture = data.index(b"clap")
    data[aperture + 4 : aperture + 8] = struct.pack(">L", 3)
    return bytes(data)


def jpeg_with_a_channel_of_no_table() -> bytes:
    """Return a JPEG of three channels with a scan for the first only.

    The third channel refers to table 5, which is missing.
    """
    data = encode(PIL.Image.fromarray(photo()).convert("L"))
    frame = data.index(b"\xff\xc0")
    size = data[frame + 4 : frame + 9]
    channels = bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 5])
    return data[:frame] + b"\xff\xc0\x00\x11" + size + bytes([3]) + channels + data[frame + 13 :]


def tiff_with(tag: int, value: int, pixels: bytes = bytes(64 * 48)) -> bytes:
    """Return a grey TIFF of 64 x 48 in which one numeric tag has another value."""
    tags = {256: 64, 257: 48, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 48, 279: len(pixels)}
    tags[tag] = value
    directory = struct.pack("<H", len(tags))
    for number, content in sorted(tags.items()):
        directory += struct.pack("<HHLL", number, 4, 1, content)
    return b"II*\0" + struct.pack("<L", 8 + len(pixels)) + pixels + directory + bytes(4)


def tiff_of_tiny_tiles(width: int, height: int) -> bytes:
    """Return a valid grey TIFF in which each pixel is a separate tile.

    All tiles are the same byte of the file.
    """
    count = width * height
    start, lengths = 9, 9 + 4 * count
    offsets = struct.pack("<L", 8) * count + struct.pack("<L", 1) * count
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 322: 1, 323: 1}
    arrays = {324: start, 325: lengths}
    directory = struct.pack("<H", len(tags) + len(arrays))
    for number, value in sorted((tags | arrays).items()):
        directory += struct.pack("<HHLL", number, 4, count if number in arrays else 1, value)
    return b"II*\0" + struct.pack("<L", 9 + len(offsets)) + b"\x7f" + offsets + directory + bytes(4)


def tiff_of_tags(count: int) -> bytes:
    """Return a TIFF directory with `count` meaningless tags."""
    tags = b"".join(struct.pack("<HHLL", 40_000 + number, 4, 1, 0) for number in range(count))
    return b"II*\0" + struct.pack("<L", 8) + struct.pack("<H", count) + tags + bytes(4)


def tiff_of_many_pages(pages: int = 5000) -> bytes:
    """Return a valid grey TIFF followed by a long chain of empty directories."""
    first = tiff_with(256, 64)
    start = len(first)
    offsets = [start + 6 * page for page in range(1, pages)] + [0]
    chain = b"".join(struct.pack("<HL", 0, offset) for offset in offsets)
    return first[:-4] + struct.pack("<L", start) + chain


def laborious() -> dict[str, bytes]:
    """Return valid files that consist of very many pieces, which are decoded one by one."""
    jpeg, progressive, gif = encode(photo()), encode(photo(), progressive=True), encode(photo(), "GIF")
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    return {
        "JPEG scans": progressive[:-2] + 200 * scan + b"\xff\xd9",
        "JPEG segments": jpeg[:2] + 10_000 * b"\xff\xfe\x00\x02" + jpeg[2:],
        "JPEG EXIF": jpeg[:2] + 100 * b"\xff\xe1\x00\x08Exif\0\0" + jpeg[2:],
        "JPEG fill bytes": jpeg[:2] + 2**21 * b"\xff" + jpeg[2:],
        "GIF blocks": gif[:-1] + b"!\xfe" + 1_000_000 * b"\x01x" + b"\0;",
        "PNG chunks": png(64, 48, *200_000 * [(b"teSt", b"")]),
        "TIFF tiles": tiff_of_tiny_tiles(300, 300),
        "TIFF tags": tiff_of_tags(6000),
    }


def svg() -> bytes:
    """Return an SVG file, a format that is not supported."""
    return b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>'


def writing(side: int = 320) -> NDArray[np.uint8]:
    """Return an image of one line of text repeated, as on a screen: (side, side, 3) uint8."""
    page = np.full((side, side, 3), 255, np.uint8)
    for baseline in range(25, side, 24):
        cv2.putText(page, "what repeats by nature", (10, baseline), 0, 0.6, (20, 20, 20), 1, cv2.LINE_AA)
    return page
