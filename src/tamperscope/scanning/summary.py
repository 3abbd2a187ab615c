"""A one-page summary of a scan: its counts, and the most suspicious images with their marked regions.

The page is self-contained: it embeds its pictures and has no scripts.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path

import cv2
import jinja2
import numpy as np

from tamperscope.cores import cores
from tamperscope.errors import ImageError, ScanError, UnreadableError
from tamperscope.images import ImageLimits, read_image
from tamperscope.report import NOTABLE, BundleIdentity, Region, printed_score, printed_type
from tamperscope.scanning.files import printable, read
from tamperscope.scanning.journal import Journal, ScannedFile

_MOST = 100
_SIDE = 320
_OUTLINE = (0, 255, 0)
_JPEG_QUALITY = 80


def write_summary(
    journal: Journal, bundle: BundleIdentity, limits: ImageLimits, finished: datetime, out: Path
) -> None:
    """Write the page to `out`, reading the images again.

    Raises `ScanError` when the page cannot be written.
    """
    files = journal.most_suspicious(_MOST)
    # No more at once than a scan has in progress: large images fill the memory once decoded.
    with ThreadPoolExecutor(cores()) as threads:
        pictures = list(threads.map(partial(_picture, limits), files))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tamperscope.scanning", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["printed_score"] = printed_score
    environment.globals["printed_type"] = printed_type
    page = environment.get_template("summary.html").render(
        tally=journal.tally(),
        most=_MOST,
        rows=[
            (printable(file.path), file.row, _notable(file), picture)
            for file, picture in zip(files, pictures, strict=True)
        ],
        failures=[(printable(file.path), file.row.error) for file in journal.failures(_MOST)],
        bundle=bundle,
        finished=finished,
    )
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ScanError(f"{out} cannot be written: {error.strerror}.") from None


def _notable(file: ScannedFile) -> list[str]:
    evidence = file.row.evidence or {}
    return [
        name.replace("_", " ").replace("jpeg", "JPEG")
        for name, strength in evidence.items()
        if strength is not None and strength >= NOTABLE
    ]


def _picture(limits: ImageLimits, file: ScannedFile) -> str | None:
    """Return a small JPEG with the regions' outlines, in base64; None if the image can no longer be read."""
    try:
        pixels = read_image(read(file.path, limits.bytes), limits).pixels
    except (ImageError, UnreadableError):
        return None
    scale = min(1.0, _SIDE / max(pixels.shape[:2]))
    size = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    outlines = [np.rint(np.array(region.polygon) * scale).astype(np.int32) for region in _regions(file)]
    cv2.polylines(small, outlines, isClosed=True, color=_OUTLINE, thickness=2, lineType=cv2.LINE_AA)
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    return base64.b64encode(encoded.tobytes()).decode()


def _regions(file: ScannedFile) -> tuple[Region, ...]:
    return file.row.regions or ()
