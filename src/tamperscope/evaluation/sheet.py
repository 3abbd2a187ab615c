"""A contact sheet of a detector's best and worst forged images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from tamperscope.detector import Detector
from tamperscope.evaluation.measurement import Case
from tamperscope.images import read_image, rendering

CASES = 6
_CELL = 260, 200
_GAP, _CAPTION = 6, 22
_OUTLINE = 0, 255, 0


def best_and_worst(detector: Detector, cases: Sequence[Case]) -> PIL.Image.Image | None:
    """Draw the six forged images with the highest F1 on the left and the six with the lowest F1 on the right.

    Each row shows the image with the ground truth outlined, the heatmap and the mask. Images with equal F1
    are ordered by average precision. Return None when no image is forged.
    """
    ranked = sorted(
        (case for case in cases if case[0].forged),
        key=lambda case: (case[1].f1, case[1].average_precision),
        reverse=True,
    )
    columns = [ranked[:CASES], ranked[CASES:][-CASES:][::-1]]
    if not ranked:
        return None
    width, height = 3 * (_CELL[0] + _GAP), _CAPTION + _CELL[1] + _GAP
    used = [column for column in columns if column]
    sheet = PIL.Image.new("RGB", (len(used) * width + _GAP, len(used[0]) * height + _GAP), "white")
    for number, column in enumerate(used):
        for row, case in enumerate(column):
            _draw(sheet, number * width + _GAP, row * height + _GAP, detector, case)
    return sheet


def _draw(sheet: PIL.Image.Image, left: int, top: int, detector: Detector, case: Case) -> None:
    sample, measurement = case
    image = read_image(sample.image)
    report = detector.analyze(image)
    caption = (
        f"F1 {measurement.f1:.2f}   score {measurement.score:.2f}   {measurement.verdict}   "
        f"{sample.set}/{sample.image.name}"
    )
    drawing = PIL.ImageDraw.Draw(sheet)
    drawing.text((left, top + 2), caption, "black", PIL.ImageFont.load_default(13))
    truth = sample.ground_truth(image.height, image.width)
    panels = (image.pixels, rendering.heatmap(report.heatmap), rendering.mask_image(report.mask))
    for number, panel in enumerate(panels):
        picture = _fitted(panel)
        if number == 0:
            picture = _outlined(picture, truth)
        sheet.paste(PIL.Image.fromarray(picture), (left + number * (_CELL[0] + _GAP), top + _CAPTION))


def _fitted(panel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = panel.shape[:2]
    scale = min(_CELL[0] / width, _CELL[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(panel, size, interpolation=cv2.INTER_AREA), np.uint8)


def _outlined(picture: NDArray[np.uint8], truth: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Outline the ground truth on a scaled picture, so that the line is equally thick on every picture."""
    small = _fitted(rendering.mask_image(truth))
    contours, _ = cv2.findContours((small > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(picture.copy(), contours, -1, _OUTLINE, 2), np.uint8)
