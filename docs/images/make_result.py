"""Draw `result.jpg`: the sample forgery, its ground truth, and the result of the default model.

The sample is a shirt into which `forge` spliced a piece of cloth and a smaller shirt (seed 99, 10). The
photos are under CC0, and none of them was used in training.
"""

from pathlib import Path

import cv2
import numpy as np

from tamperscope import Detector
from tamperscope.images import read_image, rendering

FOLDER = Path(__file__).parent
HEIGHT, GAP = 420, 8


def main() -> None:
    """Write the picture next to this file and print the verdict."""
    image = read_image(FOLDER / "sample.jpg")
    report = Detector.load().analyze(image)
    truth = read_image(FOLDER / "sample-mask.png").pixels
    panels = [
        image.pixels,
        truth,
        np.repeat(rendering.mask_image(report.mask)[..., None], 3, axis=2),
        rendering.overlay(image.pixels, report.mask),
        rendering.heatmap(report.heatmap),
    ]
    width = round(HEIGHT * image.width / image.height)
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    row: list[np.ndarray] = []
    for panel in panels:
        row += [cv2.resize(panel, (width, HEIGHT), interpolation=cv2.INTER_AREA), gap]
    picture = np.hstack(row[:-1])
    cv2.imwrite(str(FOLDER / "result.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(report.verdict, round(report.score, 3), report.type, [region.box for region in report.regions])


if __name__ == "__main__":
    main()
