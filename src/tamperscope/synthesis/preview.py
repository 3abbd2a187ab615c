"""A contact sheet, for judging by eye how realistic forgeries look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw

from tamperscope.synthesis.forgery import Forgery
from tamperscope.synthesis.recipe import Mask

_TILE, _CAPTION, _COLUMNS = 256, 30, 6
_MASK_COLOUR, _SOURCE_COLOUR = (0, 230, 0), (255, 150, 0)


def contact_sheet(forgeries: Sequence[Forgery]) -> PIL.Image.Image:
    """Return a contact sheet with six forgeries per row.

    Each tile shows the image with the outline of its mask, its type, and the collections of its photos. The
    manipulated region is outlined in green, and the region that a copy-move copied in orange.
    """
    rows = -(-len(forgeries) // _COLUMNS)
    sheet = PIL.Image.new("RGB", (_COLUMNS * _TILE, rows * (_TILE + _CAPTION)), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    for number, forgery in enumerate(forgeries):
        x, y = number % _COLUMNS * _TILE, number // _COLUMNS * (_TILE + _CAPTION)
        sheet.paste(PIL.Image.fromarray(_tile(forgery)), (x, y))
        what = forgery.type.value if forgery.type else "authentic"
        draw.text((x + 3, y + _TILE + 2), ", ".join(dict.fromkeys([what, *_details(forgery)])), "black")
        collections = [PurePosixPath(source).parent.name or source for source in forgery.sources]
        draw.text((x + 3, y + _TILE + 15), " + ".join(collections)[:40], "grey")
    return sheet


def _details(forgery: Forgery) -> list[str]:
    """Return what distinguishes a forgery from others of its type.

    That is how an object was found, how a hole was filled, or how a face was changed.
    """
    telling = {"splice": "object", "inpainting": "method"}
    return [
        str(step.parameters[telling[step.name]]) if step.name in telling else step.name
        for step in forgery.recipe
        if step.name in telling or step.name.startswith("face ") or step.name == "skin retouching"
    ]


def _tile(forgery: Forgery) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    tile = cv2.resize(forgery.pixels, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    for mask, colour in ((forgery.mask, _MASK_COLOUR), (forgery.source_mask, _SOURCE_COLOUR)):
        if mask is not None:
            cv2.drawContours(tile, _outline(mask), -1, colour, 1)
    return np.asarray(tile, np.uint8)


def _outline(mask: Mask) -> Sequence[np.ndarray[tuple[int, ...], np.dtype[np.int32]]]:
    small = cv2.resize(mask.astype(np.uint8), (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
    contours: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.int32]]] = cv2.findContours(
        small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )[0]
    return contours
