"""The boxes of a HEIF or AVIF file (ISO/IEC 14496-12 and 23008-12).

The order of the boxes inside `meta` is free, and each encoder has its own. What is said of encoders here was
read from originals: all HEIC photos of iPhones that the public test collections hold have Apple's order.
"""

from __future__ import annotations

from collections.abc import Iterator

from tamperscope.evidence import metadata
from tamperscope.evidence._boxes import MOST_BOXES, Box, boxes_of, meta_boxes
from tamperscope.evidence._quoting import quoted
from tamperscope.evidence.structure.finding import INCOHERENT, RESAVED, Finding
from tamperscope.images import Image

_KNOWN = frozenset(
    (
        *(b"ftyp", b"styp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"uuid", b"jumb", b"idat"),
        *(b"mpvd", b"sefd"),
    )
)
"""Boxes of the standards, and those of motion photos and Samsung's phones."""


def parts(data: bytes) -> tuple[str, ...]:
    """Return the names of the boxes, with the brands of the file, and with the boxes inside `meta`."""
    names: list[str] = []
    for box in boxes_of(data):
        if box.kind == b"ftyp":
            names.append(f"ftyp {' '.join(_brands(data, box))}")
        elif box.kind == b"meta":
            names.extend(("meta", *(f"meta/{inner}" for inner in _inside_meta(data))))
        elif box.kind in _KNOWN:
            names.append(box.kind.decode("ascii"))
    return tuple(names[:MOST_BOXES])


def end(data: bytes) -> int | None:
    """Return the offset after the last known box; None if the file ends within it."""
    last = 0
    for box in boxes_of(data):
        if box.kind not in _KNOWN:
            break
        last = box.end
    return last if last <= len(data) else None


def findings(image: Image, _parts: tuple[str, ...]) -> Iterator[Finding]:
    """Yield what the order of the boxes, the name of the encoder and the additional pictures tell."""
    data = image.data
    yield from _on_encoder(image, _inside_meta(data))
    kinds = [box.kind for box in boxes_of(data)]
    if kinds.count(b"mdat") > 1:
        text = (
            "A second block of data follows the first: programs such as exiftool append one when they change "
            "the metadata."
        )
        yield Finding(text, RESAVED)
    if b"sefd" in kinds or b"mpvd" in kinds:
        yield Finding("The file holds the additional data of a Samsung phone or of a motion photo.")
    meta = next((data[box.start : box.end] for box in boxes_of(data) if box.kind == b"meta"), b"")
    added = [name for mark, name in _AUXILIARY if mark in meta]
    if added:
        text = (
            f"Beside the picture the file holds {_listed(added)}, which cameras add and most programs drop."
        )
        yield Finding(text)


_AUXILIARY = (
    (b"aux:hdrgainmap", "an HDR gain map"),
    (b"tmap", "an HDR gain map (ISO 21496-1)"),
    (b"aux:disparity", "a depth map"),
    (b"hevc:2015:auxid:2", "a depth map"),
    (b"aux:portraiteffectsmatte", "a portrait matte"),
    (b"aux:semantic", "mattes of skin, hair or sky"),
)
"""Kinds of auxiliary pictures, by what `meta` calls them."""


def _on_encoder(image: Image, inside: tuple[str, ...]) -> Iterator[Finding]:
    maker = metadata.read(image).first("EXIF", "Make")
    apple = inside[:4] == ("hdlr", "dinf", "pitm", "iinf") and inside[-2:] == ("idat", "iloc")
    if maker == "Apple" and image.format == "HEIF" and not apple:
        text = (
            "The metadata names a device of Apple, but the boxes of the file do not stand in the order of "
            "Apple's encoder: a program saved the picture again."
        )
        yield Finding(text, INCOHERENT)
    elif maker and maker != "Apple" and apple:
        text = (
            "The boxes of the file stand in the order of Apple's encoder, although the metadata names "
            f"{quoted(maker)}: a system of Apple saved the picture again."
        )
        yield Finding(text, RESAVED)
    elif maker and inside[:4] == ("hdlr", "pitm", "iloc", "iinf"):
        text = (
            "The boxes of the file stand in the order of libheif and libavif, which programs and websites "
            "use: a program probably saved the picture again."
        )
        yield Finding(text, RESAVED)
    if name := _encoder(image.data):
        yield Finding(f"The file names its encoder: “{name}”.")


def _encoder(data: bytes) -> str:
    """Return the name of the handler of `meta`, where encoders write theirs; mostly empty."""
    for box in meta_boxes(data):
        if box.kind == b"hdlr":
            return quoted(data[box.start + 24 : min(box.end, box.start + 124)].decode("utf-8", "replace"))
    return ""


def _listed(names: list[str]) -> str:
    distinct = list(dict.fromkeys(names))
    return " and ".join(filter(None, (", ".join(distinct[:-1]), distinct[-1])))


def _inside_meta(data: bytes) -> tuple[str, ...]:
    return tuple(box.kind.decode("ascii") for box in meta_boxes(data) if box.kind.isalnum())


def _brands(data: bytes, box: Box) -> Iterator[str]:
    """Yield the major brand and the compatible ones."""
    content = data[box.start : min(box.end, box.start + 8 + 4 * MOST_BOXES)]
    for place in (0, *range(8, len(content) - 3, 4)):
        brand = content[place : place + 4]
        yield brand.decode("ascii") if brand.isalnum() else "????"
