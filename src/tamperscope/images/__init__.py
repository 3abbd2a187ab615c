"""Reading of files into `Image`: checked before decoding, upright, 8-bit RGB, with the file's own evidence.

    image = read_image("photo.jpg")
    image.pixels    # (height, width, 3) uint8
    image.jpeg      # quantisation tables and DCT coefficients; None if there are none

Pixels are analysed as they were stored. An embedded colour profile is not applied, because it would alter the
very values that forensics measures. Where a conversion cannot be avoided (orientation, palette, transparency,
CMYK, more than 8 bits), it is fixed and simple. If it loses something, a note in the report states so.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import re
import struct
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeVar

import jpeglib
import numpy as np
import pi_heif
import PIL.ExifTags
import PIL.Image
import PIL.ImageChops
import PIL.ImageFile
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from tamperscope.errors import (
    DamagedImageError,
    EmptyImageError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    UnsupportedImageError,
)
from tamperscope.report import ImageFacts

_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jpg_large", ".mpo")
_HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
IMAGE_SUFFIXES = frozenset(
    (*_JPEG_SUFFIXES, ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", *_HEIF_SUFFIXES)
)
"""Suffixes, in lower case, by which a search of a folder recognises image files."""

MOST_MAP_PIXELS = 16_000_000
"""Maps of larger images are scaled down to this. Few measurements see as much, and each map would take
hundreds of megabytes."""

ImageSource = (
    bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes] | PIL.Image.Image | NDArray[np.uint8]
)

_Sample = TypeVar("_Sample", np.uint8, np.float32)


@dataclass(frozen=True)
class ImageLimits:
    """Limits that `read_image` checks before it decodes any pixel.

    Example:
        >>> ImageLimits(bytes=5 * 2**20)
        ImageLimits(bytes=5242880, pixels=100000000, min_side=32)
    """

    bytes: int = 50 * 2**20
    """Largest file size in bytes."""
    pixels: int = 100_000_000
    """Most pixels, width times height. Above 178 million, Pillow's own guard against bombs still applies."""
    min_side: int = 32
    """Smallest width and height in pixels."""


@dataclass(frozen=True, eq=False)
class Image:
    """One image, ready to be analysed; `read_image` returns it."""

    pixels: NDArray[np.uint8]
    """(height, width, 3) uint8: RGB, 0 to 255, upright, C-contiguous, read-only."""
    data: bytes
    """The original file, unchanged. For an array or a Pillow image, which has none, the bytes of `pixels`."""
    format: str
    """JPEG, PNG, WEBP, TIFF, BMP, GIF, HEIF or AVIF, by content; ARRAY for an array or a Pillow image."""
    notes: tuple[str, ...] = ()
    """What was done on reading that the reader of a report should know, in plain words."""
    orientation: int = 1
    """The EXIF orientation, 1 to 8, by which `pixels` were turned; 1 if they lie as they are stored, and for
    TIFF and HEIF, which their decoders turn."""

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the maps of this image: its own, scaled down to at most `MOST_MAP_PIXELS`."""
        scale = min(1.0, math.sqrt(MOST_MAP_PIXELS / (self.height * self.width)))
        return max(1, int(self.height * scale)), max(1, int(self.width * scale))

    @property
    def magnification(self) -> tuple[float, float]:
        """How many times the image is wider and higher than its maps."""
        return self.width / self.map_shape[1], self.height / self.map_shape[0]

    @cached_property
    def jpeg(self) -> JpegStructure | None:
        """How the JPEG was encoded; None for other formats, and if no coefficients can be read."""
        return _read_jpeg_structure(self.data) if self.format == "JPEG" else None

    @cached_property
    def drawn(self) -> bool:
        """Whether the image was drawn, like a screenshot, or cut out, rather than photographed."""
        # Only an analysis needs OpenCV; the command line's help also imports this module.
        from tamperscope.images.drawings import is_framed

        return self.filled or is_framed(self.pixels)

    @cached_property
    def filled(self) -> bool:
        """Whether a few plain colours fill the image, as in writing, without a photo in it."""
        from tamperscope.images.drawings import is_filled

        return is_filled(self.pixels)

    def forget_jpeg(self) -> None:
        """Forget what `jpeg` read, up to twice the memory of the pixels. It reads it again when asked."""
        vars(self).pop("jpeg", None)

    def upright(self, stored: NDArray[_Sample]) -> NDArray[_Sample]:
        """Turn a plane (rows, columns) from the file's orientation, as in `jpeg`, to that of the pixels."""
        return _transposed(stored, _UPRIGHT.get(self.orientation))

    def stored(self, upright: NDArray[_Sample]) -> NDArray[_Sample]:
        """Turn a plane (rows, columns) from the orientation of the pixels to that of the file."""
        back = {6: PIL.Image.Transpose.ROTATE_90, 8: PIL.Image.Transpose.ROTATE_270}
        return _transposed(upright, back.get(self.orientation, _UPRIGHT.get(self.orientation)))

    def facts(self) -> ImageFacts:
        """Return what a report states about the file."""
        return ImageFacts(
            width=self.width,
            height=self.height,
            format=self.format,
            byte_count=len(self.data),
            sha256=hashlib.sha256(self.data).hexdigest(),
            notes=self.notes,
        )


@dataclass(frozen=True, eq=False)
class JpegStructure:
    """How a JPEG was encoded (ITU-T T.81), per component: Y, Cb, Cr, or whatever the file holds (grey, CMYK).

    Everything is in stored orientation: if a note states that the image was turned upright, the rows and
    columns of blocks here are those before turning.
    """

    quantisation_tables: tuple[NDArray[np.uint16], ...]
    """Each (8, 8), indexed by vertical, then horizontal frequency; [0, 0] is the DC step."""
    coefficients: tuple[NDArray[np.int16], ...]
    """Each (blocks down, blocks across, 8, 8): quantised DCT coefficients, indexed like the tables."""
    sampling_factors: tuple[tuple[int, int], ...]
    """Each (vertical, horizontal); ((2, 2), (1, 1), (1, 1)) is 4:2:0."""
    progressive: bool


_DEFAULT_LIMITS = ImageLimits()


def read_image(source: ImageSource, limits: ImageLimits = _DEFAULT_LIMITS) -> Image:
    """Read an image from bytes, a path, a binary file object, a Pillow image or an array.

    Args:
        source: The image. Arrays are uint8 of shape (height, width), (height, width, 3) in RGB or
            (height, width, 4) in RGBA.
        limits: Largest file, most pixels and shortest side, checked before any pixel is decoded.

    Returns:
        The image: upright, with read-only pixels (height, width, 3) uint8 in RGB, 0 to 255.

    Raises:
        EmptyImageError: there are no bytes.
        ImageTooLargeError: the file or the image exceeds the limits, or a side has more than 65,500 pixels.
        ImageTooSmallError: a side is shorter than the limits allow.
        UnsupportedImageError: the content, whatever its name, is not in a format that can be read.
        DamagedImageError: the format is known, but decoding fails; also for truncated files.
        OSError: the path cannot be opened.
        TypeError: the source is not of a type that can be read.

    Example:
        >>> import numpy as np
        >>> image = read_image(np.full((48, 64), 128, np.uint8))
        >>> image.pixels.shape
        (48, 64, 3)
        >>> image.format
        'ARRAY'
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    if isinstance(source, PIL.Image.Image):
        return _from_pillow(source, limits)
    return _decode(_read_bytes(source, limits.bytes), limits)


def read_size(source: Path | bytes) -> tuple[int, int]:
    """Return the (width, height) in pixels of the image that `read_image` returns, from the header alone.

    The source is the path of a file, or its content. A PNG whose EXIF block stands behind its pixels has the
    size as it is stored.

    Raises:
        DamagedImageError: the file is not an image.
        ImageTooLargeError: it has more pixels than Pillow opens.
        OSError: the path cannot be opened.
    """
    _ignore_metadata_warnings()
    opened = BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    with opened as file, _explained_failures("The file"), PIL.Image.open(file) as picture:
        turned = _exif_orientation(picture) >= 5
        return picture.size[::-1] if turned else picture.size


RECOGNISED_FROM = 512
"""Bytes at the start of a file that suffice for `is_image`."""


def is_image(start: bytes) -> bool:
    """Return whether a file that starts so announces a format that `read_image` reads; it may be damaged."""
    return _sniff(start) is not None


def _read_bytes(
    source: bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes], limit: int
) -> bytes:
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            return _read_bytes(file, limit)
    if isinstance(source, bytes | bytearray | memoryview):
        length = memoryview(source).nbytes
        data = bytes(source) if length <= limit else b""
    elif hasattr(source, "read"):
        data = source.read(limit + 1)
        if not isinstance(data, bytes):
            raise TypeError("The file object must be opened in binary mode.")
        length = len(data)
    else:
        raise TypeError(f"An image cannot be read from {type(source).__name__}.")
    if length == 0:
        raise EmptyImageError("The image is empty: it has no bytes.")
    if length > limit:
        raise ImageTooLargeError(
            f"The file is larger than {limit / 2**20:.4g} MB, the most that is accepted."
        )
    return data


def _decode(data: bytes, limits: ImageLimits) -> Image:
    image_format = _sniff(data)
    if image_format is None:
        raise UnsupportedImageError(
            "This is not an image in a format that can be read; "
            "send a JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF file."
        )
    if image_format == "JPEG":
        _check_jpeg_effort(data)
    elif image_format == "PNG":
        _check_png_effort(data)
    elif image_format == "GIF":
        _check_gif_effort(data)
    elif image_format == "TIFF":
        _check_tiff_effort(data)
    elif image_format in ("HEIF", "AVIF"):
        _check_coded_sizes(data, limits)
    _ignore_metadata_warnings()
    with (
        _explained_failures(f"The {image_format} file"),
        PIL.Image.open(BytesIO(data), formats=(image_format,)) as picture,
    ):
        _check_size(picture.size, limits)
        _check_complete(picture, image_format, data)
        notes = _notes_on_content(picture, image_format, data)
        _expect_deep_planes(picture)
        picture.load()
        orientation = _exif_orientation(picture)
        pixels = _upright_rgb(picture, orientation, notes)
    # A crop that the file requests may leave less than its header announces.
    _check_size((pixels.shape[1], pixels.shape[0]), limits)
    return Image(pixels, data, image_format, tuple(notes), orientation)


def _from_pillow(picture: PIL.Image.Image, limits: ImageLimits) -> Image:
    _ignore_metadata_warnings()
    notes: list[str] = []
    with _explained_failures("The image"):
        _check_size(picture.size, limits)
        _expect_deep_planes(picture)
        picture.load()
        pixels = _upright_rgb(picture, _exif_orientation(picture), notes)
    return Image(pixels, pixels.tobytes(), "ARRAY", tuple(notes))


def _from_array(array: NDArray[Any], limits: ImageLimits) -> Image:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)):
        raise UnsupportedImageError(
            "An array must be uint8 of shape (height, width), (height, width, 3) or (height, width, 4), "
            f"not {array.dtype} of shape {array.shape}."
        )
    _check_size((array.shape[1], array.shape[0]), limits)
    if array.shape[2:] != (3,):
        return _from_pillow(PIL.Image.fromarray(array), limits)
    # One copy serves both: the pixels are a read-only view of the bytes.
    data = array.tobytes()
    return Image(np.frombuffer(data, np.uint8).reshape(array.shape), data, "ARRAY")


# What is accepted


_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)


def _sniff(data: bytes) -> str | None:
    """Return Pillow's name of the format that the first bytes announce; None if it is not supported."""
    for magic, image_format in _MAGIC.items():
        if data.startswith(magic):
            return image_format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        box = data[8 : min(int.from_bytes(data[:4]), 256)]
        brands = {box[start : start + 4] for start in range(0, len(box), 4)}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        return "HEIF" if brands & _HEIF_BRANDS else None
    # Many texts begin with these two letters, so a bitmap must also have a known header.
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return None


_LONGEST_SIDE = 65_500
"""Pixels: what libjpeg compresses at most. Several measurements save the image as a JPEG once more."""


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    _check_pixel_count(size, limits)
    if max(size) > _LONGEST_SIDE:
        raise ImageTooLargeError(
            f"The image has {size[0]} x {size[1]} pixels; a side may have at most {_LONGEST_SIDE}."
        )
    if min(size) < limits.min_side:
        raise ImageTooSmallError(
            f"The image has {size[0]} x {size[1]} pixels; "
            f"at least {limits.min_side} x {limits.min_side} are needed for an analysis."
        )


def _check_pixel_count(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.pixels:
        raise ImageTooLargeError(
            f"The image has {width} x {height} pixels; "
            f"at most {limits.pixels / 1e6:.4g} million are accepted."
        )


_SPATIAL_EXTENTS = re.compile(rb"ispe\0{4}(.{8})", re.DOTALL)


def _check_coded_sizes(data: bytes, limits: ImageLimits) -> None:
    """Check every size that a HEIF or AVIF file declares (ISO/IEC 23008-12, 6.5.3).

    Decoders report the size after cropping, and a small crop can hide a huge image.
    """
    for extents in _SPATIAL_EXTENTS.finditer(data):
        width, height = struct.unpack(">LL", extents[1])
        _check_pixel_count((width, height), limits)


def _check_complete(picture: PIL.ImageFile.ImageFile, image_format: str, data: bytes) -> None:
    """Refuse truncated files that Pillow accepts: a PNG cut after its last row, a TIFF that lacks strips."""
    if image_format == "PNG" and b"IEND" not in data:
        raise DamagedImageError("The PNG file is incomplete: its end is missing.")
    if isinstance(picture, TiffImageFile):
        boxes = [extents for _, extents, *_ in picture.tile if extents]
        covered = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
        if covered < picture.width * picture.height * _planes(picture):
            raise DamagedImageError("The TIFF file is incomplete: it holds fewer pixels than it declares.")


def _planes(picture: TiffImageFile) -> int:
    """Return how many planes of a TIFF Pillow reads one by one; libtiff, and other TIFFs, have all in one."""
    tags = picture.tag_v2
    separate = tags.get(PIL.ExifTags.Base.PlanarConfiguration) == 2
    if not separate or any(tile.codec_name == "libtiff" for tile in picture.tile):
        return 1
    return int(tags.get(PIL.ExifTags.Base.SamplesPerPixel, 1))


def _expect_deep_planes(picture: PIL.Image.Image) -> None:
    """Have Pillow read the separate planes of a 16-bit TIFF as such: it takes them for planes of 8 bits."""
    if not isinstance(picture, TiffImageFile) or _planes(picture) == 1:
        return
    if 16 not in picture.tag_v2.get(PIL.ExifTags.Base.BitsPerSample, ()):
        return
    order = "B" if picture.tag_v2.prefix == b"MM" else "L"
    for number, tile in enumerate(picture.tile):
        assert isinstance(tile.args, tuple)
        name, *layout = tile.args
        picture.tile[number] = tile._replace(args=(f"{name};16{order}", *layout))


def _check_jpeg_effort(data: bytes) -> None:
    """Refuse a JPEG that would keep a processor busy for minutes, whatever its size.

    Every scan passes over the whole image. Pillow handles every segment, and every stray byte between
    segments, in Python. Encoders write about ten scans, up to some hundred segments, and hardly any stray
    bytes.
    """
    scans = stray = exif = 0
    position = 2
    for segments, (marker, start, end) in enumerate(_jpeg_parts(data)):
        scans += marker == _SOS
        if marker == _SOI:
            # libjpeg refuses it too, without saying why.
            raise DamagedImageError(
                "The JPEG file starts twice: a second start (SOI) stands before its end. Two files were "
                "joined, or a part was overwritten; save it again from the program it came from."
            )
        stray += start - position
        position = end
        # Pillow joins EXIF segments one by one, at a cost that is quadratic in their number.
        exif += data.startswith(b"Exif", start + 4)
        if scans > 100 or segments > 5000 or stray > 2**20 or exif > 50:
            raise DamagedImageError(
                "The JPEG file has more scans, segments or stray bytes than any encoder writes."
            )
    if scans == 0:
        raise DamagedImageError("The JPEG file is incomplete: it holds no image data.")


def _check_png_effort(data: bytes) -> None:
    """Refuse a PNG with more chunks than any encoder writes: Pillow handles each of them in Python."""
    position = 8
    for _ in range(100_000):
        position += 12 + int.from_bytes(data[position : position + 4])
        if position >= len(data):
            return
    raise DamagedImageError("The PNG file has more chunks than any encoder writes.")


_MOST_GIF_BLOCKS = 1_000_000


def _check_gif_effort(data: bytes) -> None:
    """Refuse a GIF with more data blocks than any encoder writes: Pillow keeps each one as an object."""
    position = 13 + gif_table_size(data, 10)
    blocks = 0
    while position < len(data) and blocks < _MOST_GIF_BLOCKS:
        introducer = data[position : position + 1]
        blocks += 1
        if introducer == b"!":
            position += 2
        elif introducer == b",":
            position += 11 + gif_table_size(data, position + 9)
        else:  # Pillow skips stray bytes
            position += 1
            continue
        while (length := int.from_bytes(data[position : position + 1])) and blocks < _MOST_GIF_BLOCKS:
            position += 1 + length
            blocks += 1
        position += 1
    if position < len(data):
        raise DamagedImageError("The GIF file has more data blocks than any encoder writes.")


_TIFF_PIECES = frozenset((273, 279, 324, 325))
"""Tags that hold a number for each strip or tile: its offset or its length."""
_MOST_TIFF_PIECES = 2**16
_MOST_TIFF_TAGS = 5000


def _check_tiff_effort(data: bytes) -> None:
    """Refuse a TIFF with more tags, strips or tiles than any encoder writes: Pillow decodes each of them."""
    order, _, entry_format, _ = _tiff_formats(data)
    entry = struct.Struct(order + entry_format)
    for entries in itertools.islice(_tiff_directories(data), 1):
        whole = entries[: len(entries) // entry.size * entry.size]
        if len(whole) > _MOST_TIFF_TAGS * entry.size or any(
            tag in _TIFF_PIECES and count > _MOST_TIFF_PIECES for tag, count in entry.iter_unpack(whole)
        ):
            raise DamagedImageError("The TIFF file has more tags, strips or tiles than any encoder writes.")


def _tiff_directories(data: bytes) -> Iterator[memoryview]:
    """Yield the entries of each directory in turn, to the end of their chain (TIFF 6.0)."""
    order, count_format, entry_format, next_format = _tiff_formats(data)
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(order + next_format, data, 8 if next_format == "Q" else 4)
        while offset and offset not in seen:
            seen.add(offset)
            (tags,) = struct.unpack_from(order + count_format, data, offset)
            start = offset + struct.calcsize(order + count_format)
            end = start + tags * struct.calcsize(order + entry_format)
            yield memoryview(data)[start:end]
            (offset,) = struct.unpack_from(order + next_format, data, end)
    except (struct.error, OverflowError):
        pass


def _tiff_formats(data: bytes) -> tuple[str, str, str, str]:
    """Return the byte order and the formats of: number of tags; tag and its number of values; offset."""
    order = "<" if data[:2] == b"II" else ">"
    return (order, "Q", "H2xQ8x", "Q") if 43 in data[2:4] else (order, "H", "H2xL4x", "L")


def gif_table_size(data: bytes, flags_at: int) -> int:
    """Return the bytes of the colour table that the flags at an offset of a GIF announce."""
    flags = int.from_bytes(data[flags_at : flags_at + 1])
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


@contextmanager
def _explained_failures(subject: str) -> Iterator[None]:
    """Turn any exception of a decoder into one of our errors; hostile bytes can raise anything."""
    try:
        yield
    except ImageError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"{subject} has more pixels than can be decoded; scale it down and send it again."
        ) from error
    except MemoryError as error:
        raise ImageTooLargeError(f"{subject} needs more memory to decode than is available.") from error
    except Exception as error:
        raise DamagedImageError(
            f"{subject} is damaged, incomplete, or of a variant that cannot be read; "
            "save it again from the program it came from."
        ) from error


# Pillow decodes HEIC through this plugin. Registering it is idempotent and adds only that format. Its sibling
# pillow-heif can also encode, with a library under the GPL.
pi_heif.register_heif_opener()

_METADATA_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def _ignore_metadata_warnings() -> None:
    """Keep Pillow's warnings about odd metadata, and about sizes that we check ourselves, out of logs.

    `warnings.catch_warnings` swaps the filters of the whole process and is not thread-safe. Adding one
    permanent filter, for Pillow's own modules only, is safe. Each call checks for the filter, because the
    host may have reset the filters since, as test runners do.
    """
    if _METADATA_WARNINGS not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


# Notes on the content


def _notes_on_content(picture: PIL.ImageFile.ImageFile, image_format: str, data: bytes) -> list[str]:
    """Return what the decoded picture leaves out. Call it before decoding, which closes the file."""
    notes = []
    if isinstance(picture, TiffImageFile):
        pages = _count_tiff_pages(data)
        if pages > 1:
            notes.append(f"first of {pages} pages" if pages < _MOST_PAGES else "first of very many pages")
        if picture.tag_v2.get(PIL.ExifTags.Base.Orientation, 1) in _UPRIGHT:
            # Pillow turns a TIFF while decoding it, and no other format.
            notes.append(_TURNED)
    elif image_format in ("JPEG", "HEIF"):
        pictures = getattr(picture, "n_frames", 1)
        if pictures > 1:
            notes.append(f"main picture of {pictures} in the file")
    elif getattr(picture, "is_animated", False):
        still = getattr(picture, "default_image", False)
        notes.append("still picture of an animated file" if still else "first frame of an animation")
    bits = _bits_per_sample(picture, image_format, data)
    if bits > 8:
        notes.append(f"{bits}-bit samples reduced to 8")
    return notes


def _bits_per_sample(picture: PIL.ImageFile.ImageFile, image_format: str, data: bytes) -> int:
    if image_format == "PNG":
        return data[24]
    if isinstance(picture, TiffImageFile):
        return int(max(picture.tag_v2.get(PIL.ExifTags.Base.BitsPerSample, (1,))))
    if image_format == "AVIF":
        return max(
            (_AV1_DEPTHS.get(found[1][0] & 0x60, 8) for found in _AV1_HEADER.finditer(data)), default=8
        )
    return int(picture.info.get("bit_depth", 8))


_AV1_HEADER = re.compile(rb"av1C\x81.(.)", re.DOTALL)
"""The start of an AV1 codec configuration, up to the byte with its depth (AV1-ISOBMFF 1.2, 2.3.3)."""
_AV1_DEPTHS = {0x40: 10, 0x60: 12}
"""Bits per sample by the flags `high_bitdepth` and `twelve_bit` in that byte."""


_MOST_PAGES = 1000


def _count_tiff_pages(data: bytes) -> int:
    """Return the number of pages, at most `_MOST_PAGES`.

    Pillow would parse every tag of every page, and a small file can chain a great many pages with many tags.
    """
    return sum(1 for _ in itertools.islice(_tiff_directories(data), _MOST_PAGES))


# Conversion of any decoded picture to upright RGB


_TURNED = "turned upright according to its EXIF orientation"
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}


def _upright_rgb(picture: PIL.Image.Image, orientation: int, notes: list[str]) -> NDArray[np.uint8]:
    picture = _rgb(picture, notes)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
        notes.append(_TURNED)
    pixels = np.ascontiguousarray(picture, dtype=np.uint8)
    pixels.flags.writeable = False
    return pixels


def _transposed(plane: NDArray[_Sample], method: PIL.Image.Transpose | None) -> NDArray[_Sample]:
    return plane if method is None else np.asarray(PIL.Image.fromarray(plane).transpose(method), plane.dtype)


def _exif_orientation(picture: PIL.Image.Image) -> int:
    """Return the EXIF orientation that is still to be applied, 1 to 8.

    Only EXIF counts, as in browsers, and not XMP, which `Image.getexif` also reads: the mask must lie over
    the picture that its owner sees. HEIF and TIFF are already upright here, because libheif and Pillow turn
    them and leave an orientation of 1. AVIF's own rotation arrives as EXIF.
    """
    exif = PIL.Image.Exif()
    try:
        exif.load(picture.info.get("exif", b""))
        orientation = int(exif.get(PIL.ExifTags.Base.Orientation, 1))
    except Exception:  # unreadable EXIF is common, and not a reason to refuse the image
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _rgb(picture: PIL.Image.Image, notes: list[str]) -> PIL.Image.Image:
    if picture.mode.startswith(("I", "F")):
        picture = _eight_bit_grey(picture, notes)
    if picture.mode == "CMYK":
        notes.append("CMYK converted to RGB without its colour profile")
        if picture.format == "JPEG" and "adobe" not in picture.info:
            # Pillow inverts every CMYK JPEG, but only those with Adobe's marker are stored inverted.
            picture = PIL.ImageChops.invert(picture)
    if picture.has_transparency_data:
        picture = _on_white(picture, notes)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _eight_bit_grey(picture: PIL.Image.Image, notes: list[str]) -> PIL.Image.Image:
    """Scale deep grey samples to 0..255. Pillow's own conversion would clip them at 255."""
    tags = picture.tag_v2 if isinstance(picture, TiffImageFile) else {}
    samples = np.asarray(picture)
    if picture.mode.startswith("I;16"):
        # Pillow also uses this mode for the 12-bit samples of a TIFF.
        bits = tags.get(PIL.ExifTags.Base.BitsPerSample, (16,))[0]
        grey = (samples >> (bits - 8)).astype(np.uint8)
    else:
        grey = _scaled_to_bytes(samples, 1.0 if picture.mode == "F" else 65535.0, notes)
    # Pillow inverts these only where they have at most 8 bits.
    white_is_zero = tags.get(PIL.ExifTags.Base.PhotometricInterpretation) == 0
    return PIL.Image.fromarray(~grey if white_is_zero else grey)


def _scaled_to_bytes(samples: NDArray[Any], white: float, notes: list[str]) -> NDArray[np.uint8]:
    """Scale 0..`white` to 0..255, or the samples' own range where they exceed it."""
    scaled = np.nan_to_num(samples.astype(np.float64), copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(scaled.min()), float(scaled.max())
    if low >= 0 and high <= white:
        low, high = 0.0, white
    else:
        notes.append(f"sample values from {low:.6g} to {high:.6g} were scaled to 0 to 255")
    scaled -= low
    scaled *= 255.0 / ((high - low) or 1.0)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _on_white(picture: PIL.Image.Image, notes: list[str]) -> PIL.Image.Image:
    """Put transparent areas on white, as viewers do: the colours below them are arbitrary and never shown."""
    if picture.mode == "La":
        picture = picture.convert("LA")
    picture = picture.convert("RGBA")
    if picture.getchannel("A").getextrema() == (255, 255):
        return picture
    notes.append("transparent areas were put on white")
    background = PIL.Image.new("RGBA", picture.size, "white")
    background.alpha_composite(picture)
    return background


# JPEG structure


_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_DHT, _DQT, _DRI, _DAC = 0xC4, 0xDB, 0xDD, 0xCC
_FRAMES = {*range(0xC0, 0xD0)} - {_DHT, 0xC8, _DAC}
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_jpeglib_lock = threading.Lock()


def _read_jpeg_structure(data: bytes) -> JpegStructure | None:
    """Return tables and coefficients, read with jpeglib from a JPEG that Pillow has decoded to its end.

    jpeglib keeps comment and application segments in global arrays of fixed length: two threads crash the
    process, and the fifty-first segment fails. It therefore receives a copy of the file that holds only
    tables and scans, from one thread at a time. It reads from a path, hence the temporary file.
    """
    kept = {_SOS, _DHT, _DQT, _DRI, _DAC} | _FRAMES
    segments = [data[start:end] for marker, start, end in jpeg_segments(data) if marker in kept]
    bare = b"".join([b"\xff\xd8", *segments, b"\xff\xd9"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bare.jpg")
        path.write_bytes(bare)
        with _jpeglib_lock, jpeglib.version("turbo210"):
            try:
                jpeg = jpeglib.read_dct(str(path))
                jpeg.load()
            except OSError:
                return None
    if max(jpeg.quant_tbl_no) >= len(jpeg.qt):
        # A channel without a scan may refer to a table that does not exist.
        return None
    return JpegStructure(
        quantisation_tables=tuple(jpeg.qt[number] for number in jpeg.quant_tbl_no),
        coefficients=(jpeg.Y, jpeg.Cb, jpeg.Cr, jpeg.K)[: jpeg.num_components],
        sampling_factors=tuple((int(down), int(across)) for down, across in jpeg.samp_factor),
        progressive=bool(jpeg.progressive_mode),
    )


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment before EOI. A scan ends with its coded data (T.81, B.1)."""
    return ((marker, start, end) for marker, start, end in _jpeg_parts(data) if marker != _SOI)


def _jpeg_parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the segments, as `jpeg_segments`, and further SOI markers, which have no length."""
    position = 2
    while match := _MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            return
        if marker == _SOI:
            yield marker, match.start(), position
        if marker in (_SOI, 0x01) or 0xD0 <= marker <= 0xD7:  # these have no length
            continue
        end = position + int.from_bytes(data[position : position + 2])
        if marker == _SOS:
            following = _MARKER_IN_SCAN.search(data, end)
            end = following.start() if following else len(data)
        yield marker, match.start(), end
        position = max(end, position)
