"""Where the faces are."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def find_face(pixels: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Return the box (x, y, width, height) of the largest frontal face, or None (Viola and Jones 2001)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    boxes = _detector().detectMultiScale(grey, 1.15, 12, minSize=(48, 48))
    if len(boxes) == 0:
        return None
    x, y, width, height = max(boxes, key=lambda box: box[2] * box[3])
    return int(x), int(y), int(width), int(height)


def _detector() -> cv2.CascadeClassifier:
    # OpenCV's classifier keeps scratch memory: two threads in one of them crash.
    if not hasattr(_local, "detector"):
        _local.detector = cv2.CascadeClassifier(
            str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml")
        )
    detector: cv2.CascadeClassifier = _local.detector
    return detector


_local = threading.local()
