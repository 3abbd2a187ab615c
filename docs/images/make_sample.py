"""Make the page's sample from a photo of a pair of clogs: the left clog is copied, rotated and pasted below.

    python docs/images/make_sample.py photos/clothing/0536.jpg

The photo (under CC0) was part of the default model's training data. Copies within an image are found without
training, so the sample represents them fairly. The network's part of the result says little about other
images.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

SAMPLE = Path(__file__).parents[2] / "src" / "tamperscope" / "server" / "web" / "sample.jpg"
CLOG = (58, 128, 138, 254)
"""x, y, width and height of the left clog."""
PLACE, DEGREES, SCALE = (150, 466), 90, 0.9
QUALITY = 90


def main(path: str) -> None:
    """Write the sample, made from the photo at `path`."""
    photo = cv2.imread(path)
    height, width = photo.shape[:2]
    clog = _clog(photo)
    x, y, across, down = cv2.boundingRect(clog)
    middle = x + across / 2, y + down / 2
    move = cv2.getRotationMatrix2D(middle, DEGREES, SCALE)
    move[:, 2] += np.array(PLACE) - middle
    copy = cv2.warpAffine(photo, move, (width, height), flags=cv2.INTER_CUBIC)
    where = cv2.warpAffine(clog.astype(np.float32), move, (width, height))
    shadow = 1 - 0.28 * cv2.GaussianBlur(where, (0, 0), 6)[..., None]
    edge = cv2.GaussianBlur(where, (0, 0), 0.8)[..., None]
    forged = photo * shadow * (1 - edge) + copy * edge
    cv2.imwrite(
        str(SAMPLE), np.clip(np.rint(forged), 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )


def _clog(photo: np.ndarray) -> np.ndarray:
    """Return the mask of the clog: (height, width) uint8, 0 or 1."""
    labels = np.zeros(photo.shape[:2], np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(photo, labels, CLOG, np.zeros((1, 65)), np.zeros((1, 65)), 6, cv2.GC_INIT_WITH_RECT)
    mask = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(mask)
    largest = 1 + np.argmax(boxes[1:, cv2.CC_STAT_AREA])
    return cv2.erode((parts == largest).astype(np.uint8), np.ones((3, 3), np.uint8))


if __name__ == "__main__":
    main(sys.argv[1])
