"""The pictures of a report: scaled to fit a page, with outlined and labelled regions, each encoded once."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TypeVar

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from tamperscope.images import rendering
from tamperscope.interruption import checkpoint
from tamperscope.report import Report

PREVIEW = 2048
"""Longest side in pixels of a preview."""
THUMBNAIL = 160
"""Side in pixels of a thumbnail."""
LARGE, SMALL = 1200, 720
"""Longest side in pixels of figures that show the picture, and of figures that show a map."""

Points = Sequence[Sequence[int]]
"""(x, y) in pixels of the upright image."""

_REGION, _SOURCE, _EDGE = (255, 64, 160), (255, 255, 255), (20, 20, 20)
_DASH, _SPACE = 14, 9
"""Pixels of a dash of a source's outline, and of the space after it."""
_DIMMED = 0.7
"""Brightness of the picture outside the regions."""
_GROUND = 48
"""Grey level of the background of regions where the picture was not kept."""

_Sample = TypeVar("_Sample", np.uint8, np.float32)


@dataclass(frozen=True, eq=False)
class Maps:
    """The arrays of a report, at the image's size or a smaller one of the same proportions."""

    mask: NDArray[np.bool_]
    """(height, width) bool"""
    heatmap: NDArray[np.float32]
    """(height, width) float32, 0 to 1"""
    evidence: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Each (height, width) float32, 0 to 1, by the measurement's name."""
    picture: NDArray[np.uint8] | None = None
    """(height, width, 3) uint8 RGB; None where the picture was not kept."""

    @classmethod
    def of(cls, report: Report, picture: NDArray[np.uint8] | None) -> Maps:
        """Return the maps of a report.

        A report does not hold its picture, so the caller passes it, (height, width, 3) uint8 RGB, or None.
        """
        maps = {name: item.map for name, item in report.evidence.items() if item.map is not None}
        return cls(report.mask, report.heatmap, maps, picture)

    @classmethod
    def from_files(
        cls,
        mask: bytes,
        heatmap: bytes,
        evidence: Mapping[str, bytes],
        picture: NDArray[np.uint8] | None = None,
    ) -> Maps:
        """Return the maps read back from 8-bit grey PNGs, in which 255 stands for True and for 1."""
        maps = {name: _shares(data) for name, data in evidence.items()}
        return cls(rendering.decode_grey_png(mask) > 127, _shares(heatmap), maps, picture)


@dataclass(frozen=True)
class OutlinedRegion:
    """One region to outline."""

    polygon: Points
    label: str
    source: Points = ()
    """The outline of the other one of two regions that repeat each other, if there is one."""
    source_label: str = ""
    decided: bool = True
    """Whether `polygon` is known to be the copy and `source` its source."""


@dataclass(frozen=True)
class EncodedPicture:
    """An encoded image."""

    data: bytes
    media_type: str
    width: int
    height: int


def preview(pixels: NDArray[np.uint8]) -> EncodedPicture:
    """Return the picture itself, (height, width, 3) uint8 RGB, encoded; never enlarged."""
    return _jpeg(_fitted(pixels, PREVIEW) if max(pixels.shape) > PREVIEW else pixels)


def thumbnail(pixels: NDArray[np.uint8]) -> EncodedPicture:
    """Return the middle square of the picture, (height, width, 3) uint8 RGB, small and encoded."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side]
    size = min(side, THUMBNAIL)
    return _jpeg(np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA), np.uint8))


def photo(pixels: NDArray[np.uint8]) -> EncodedPicture:
    """Return the picture itself, (height, width, 3) uint8 RGB, encoded."""
    return _jpeg(_fitted(pixels, LARGE))


def marked(maps: Maps, regions: Sequence[OutlinedRegion], image_width: int) -> EncodedPicture:
    """Return the picture, or the mask where the picture was not kept, with outlined and labelled regions.

    The regions are in pixels of an image of `image_width`.
    """
    if maps.picture is not None:
        canvas = _fitted(maps.picture, LARGE)
    else:
        canvas = np.repeat(_fitted(_on_ground(maps.mask), LARGE)[..., None], 3, axis=2)
    scale = canvas.shape[1] / image_width
    inside = canvas.copy()
    canvas = np.asarray(canvas * _DIMMED, np.uint8)
    shown = np.zeros(canvas.shape[:2], np.uint8)
    for region in regions:
        for points in filter(None, (region.polygon, region.source)):
            cv2.fillPoly(shown, [_scaled(points, scale)], 1)
    canvas[shown > 0] = inside[shown > 0]
    labels = {region.label for region in regions}
    # The other one of an undecided pair usually is a region itself, with an outline of its own.
    sources = [region for region in regions if region.source and region.source_label not in labels]
    for region in sources:
        _outline(canvas, region.source, scale, _SOURCE, dashed=region.decided)
    for region in regions:
        _outline(canvas, region.polygon, scale, _REGION)
    for region in regions:
        # One line for each pair: the second region of an undecided pair repeats it.
        if region.source and (region in sources or region.label < region.source_label):
            _link(canvas, region, scale)
    return _jpeg(_labelled(canvas, regions, sources, scale))


def heat(values: NDArray[np.float32]) -> EncodedPicture:
    """Return a map, (height, width) float32, in colours from dark for 0 to bright for 1."""
    coloured = rendering.heatmap(_fitted(values, SMALL))
    return min(_png(coloured), _jpeg(coloured), key=lambda picture: len(picture.data))


def from_data_uri(address: str) -> EncodedPicture | None:
    """Return the small PNG in a report's details; None if `address` is not a PNG data URI."""
    head, _, encoded = address.partition(",")
    if head != "data:image/png;base64":
        return None
    return photo(np.asarray(PIL.Image.open(BytesIO(base64.b64decode(encoded))).convert("RGB")))


def colour_scale() -> EncodedPicture:
    """Return the colours of `heat`, from 0 on the left to 1 on the right."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)
    return _png(rendering.heatmap(np.repeat(ramp[None], 8, axis=0)))


def _fitted(pixels: NDArray[_Sample], longest: int) -> NDArray[_Sample]:
    """Scale the longest side down to `longest`.

    A small image is enlarged to half of `longest`, so that outlines and numbers can be read.
    """
    height, width = pixels.shape[:2]
    side = max(height, width)
    goal = min(longest, max(side, longest // 2))
    if side == goal:
        return pixels
    size = max(1, round(width * goal / side)), max(1, round(height * goal / side))
    way = cv2.INTER_AREA if goal < side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=way), pixels.dtype)


def _on_ground(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(mask, 255, _GROUND).astype(np.uint8)


def _scaled(points: Points, scale: float) -> NDArray[np.int32]:
    return np.rint((np.array(points, np.float64) + 0.5) * scale - 0.5).astype(np.int32).reshape(-1, 1, 2)


def _outline(
    canvas: NDArray[np.uint8],
    points: Points,
    scale: float,
    colour: tuple[int, int, int],
    *,
    dashed: bool = False,
) -> None:
    if points:
        lines, closed = (_dashes(points, scale), False) if dashed else ([_scaled(points, scale)], True)
        for width, stroke in ((6, _EDGE), (3, colour)):
            cv2.polylines(canvas, lines, closed, stroke, width, cv2.LINE_AA)


def _dashes(points: Points, scale: float) -> list[NDArray[np.int32]]:
    """Return the dashes of a closed outline, each an (n, 1, 2) line."""
    corners = _scaled([*points, points[0]], scale).reshape(-1, 2).astype(np.float64)
    along = np.append(0, np.hypot(*np.diff(corners, axis=0).T).cumsum())
    dashes = []
    for start in np.arange(0, along[-1], _DASH + _SPACE):
        end = min(start + _DASH, along[-1])
        at = np.concatenate([[start], along[(along > start) & (along < end)], [end]])
        line = np.column_stack([np.interp(at, along, corners[:, axis]) for axis in (0, 1)])
        dashes.append(np.rint(line).astype(np.int32).reshape(-1, 1, 2))
    return dashes


def _link(canvas: NDArray[np.uint8], region: OutlinedRegion, scale: float) -> None:
    """Draw an arrow from the source to the copy, or a line where it is not known which is which.

    It leads from outline to outline, so that it covers neither region.
    """
    source, copy = (_scaled(points, scale) for points in (region.source, region.polygon))
    start, end = source.mean(axis=0)[0], copy.mean(axis=0)[0]
    path = start + np.linspace(0, 1, 101)[:, None] * (end - start)
    between = [
        point
        for point in path.tolist()
        if all(cv2.pointPolygonTest(outline, point, False) < 0 for outline in (source, copy))
    ]
    if not between:
        return
    first, last = (tuple(map(round, point)) for point in (between[0], between[-1]))
    tip = 14 / max(14.0, float(np.hypot(*np.subtract(first, last))))
    for width, stroke in ((5, _EDGE), (2, _SOURCE)):
        if region.decided:
            cv2.arrowedLine(canvas, first, last, stroke, width, cv2.LINE_AA, tipLength=tip)
        else:
            cv2.line(canvas, first, last, stroke, width, cv2.LINE_AA)


def _labelled(
    canvas: NDArray[np.uint8],
    regions: Sequence[OutlinedRegion],
    sources: Sequence[OutlinedRegion],
    scale: float,
) -> NDArray[np.uint8]:
    """Write each label above the upper left corner of its region, where it covers nothing of the region."""
    sheet = PIL.Image.fromarray(canvas)
    drawing = PIL.ImageDraw.Draw(sheet)
    font = PIL.ImageFont.load_default(20)
    labels = [
        *((region.source, region.source_label, _SOURCE, _EDGE) for region in sources),
        *((region.polygon, region.label, _REGION, _EDGE) for region in regions),
    ]
    for polygon, label, ground, ink in labels:
        left, top = _scaled(polygon, scale).min(axis=(0, 1)) if polygon else (0, 0)
        width, height = int(drawing.textlength(label, font)) + 14, 26
        x = int(np.clip(left, 1, max(1, sheet.width - width - 1)))
        y = int(np.clip(top - height - 5, 1, max(1, sheet.height - height - 1)))
        drawing.rounded_rectangle((x, y, x + width, y + height), 6, ground, _EDGE, 2)
        drawing.text((x + width / 2, y + height / 2), label, ink, font, anchor="mm")
    return np.asarray(sheet)


def _jpeg(pixels: NDArray[np.uint8]) -> EncodedPicture:
    return _encoded(pixels, "JPEG", quality=85)


def _png(pixels: NDArray[np.uint8]) -> EncodedPicture:
    return _encoded(pixels, "PNG")


def _encoded(pixels: NDArray[np.uint8], file_format: str, **options: int) -> EncodedPicture:
    checkpoint()
    file = BytesIO()
    PIL.Image.fromarray(pixels).save(file, file_format, **options)
    return EncodedPicture(file.getvalue(), f"image/{file_format.lower()}", pixels.shape[1], pixels.shape[0])


def _shares(data: bytes) -> NDArray[np.float32]:
    return rendering.decode_grey_png(data).astype(np.float32) / np.float32(255)
