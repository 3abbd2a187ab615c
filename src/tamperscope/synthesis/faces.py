"""Find a face and its eyes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.synthesis.recipe import Pixels

# Longer side in pixels of the copy that is searched for faces.
_SEARCHED_SIDE = 320
# Side in pixels to which a face is scaled before it is searched for eyes.
_FACE_SIDE = 160


@dataclass(frozen=True)
class Face:
    """A frontal face, given by the centres of its eyes: (x, y) in pixels.

    Left and right are as seen in the image.
    """

    left_eye: tuple[float, float]
    right_eye: tuple[float, float]

    @property
    def eye_distance(self) -> float:
        """Distance between the eyes, in pixels."""
        return float(np.hypot(*np.subtract(self.right_eye, self.left_eye)))

    def point(self, right: float, down: float) -> tuple[float, float]:
        """Return the (x, y) of a point of the face, in pixels.

        `right` and `down` are relative to the point between the eyes. They are in eye distances, along the
        face's own axes.
        """
        axis = np.subtract(self.right_eye, self.left_eye)
        x, y = np.add(self.left_eye, self.right_eye) / 2 + right * axis + down * np.array([-axis[1], axis[0]])
        return float(x), float(y)

    def moved(self, scale: float, x: float, y: float) -> Face:
        """Return the face in a copy of the image that was scaled and then cropped at (x, y)."""
        (left_x, left_y), (right_x, right_y) = self.left_eye, self.right_eye
        return Face(
            (left_x * scale - x, left_y * scale - y),
            (right_x * scale - x, right_y * scale - y),
        )

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of a box around the whole face, clipped to the image."""
        corners = np.array(
            [self.point(x, y) for x, y in ((-1.5, -1.4), (1.5, -1.4), (-1.5, 2.4), (1.5, 2.4))]
        )
        left, top = np.clip(corners.min(0), 0, (width, height))
        right, bottom = np.clip(np.ceil(corners.max(0)), 0, (width, height))
        return int(left), int(top), int(right), int(bottom)


def find_face(pixels: Pixels) -> Face | None:
    """Return the largest frontal face whose eyes are both found, or None.

    Cascades of Haar features (Viola and Jones 2001) search a scaled-down copy. They find faces of at least an
    eighth of the image's longer side.
    """
    scale = _SEARCHED_SIDE / max(pixels.shape[:2])
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    boxes = _cascade("frontalface_default").detectMultiScale(
        small, 1.2, 6, minSize=(_SEARCHED_SIDE // 8,) * 2
    )
    for box in sorted(boxes, key=lambda box: box[2] * box[3], reverse=True):
        face = _with_eyes(grey, np.asarray(box) / scale)
        if face is not None:
            return face
    return None


def _with_eyes(grey: NDArray[Any], box: NDArray[np.float64]) -> Face | None:
    x, y, side, _ = box.astype(int)
    upper = grey[y : y + int(side * 0.6), x : x + side]
    scale = _FACE_SIDE / side
    upper = cv2.resize(upper, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = _cascade("eye_tree_eyeglasses").detectMultiScale(upper, 1.1, 3, minSize=(_FACE_SIDE // 8,) * 2)
    centres = [
        (float(x + (ex + ew / 2) / scale), float(y + (ey + eh / 2) / scale)) for ex, ey, ew, eh in found
    ]
    left = [centre for centre in centres if 0.2 < (centre[0] - x) / side < 0.45]
    right = [centre for centre in centres if 0.55 < (centre[0] - x) / side < 0.8]
    if not left or not right:
        return None
    face = Face(left[0], right[0])
    level = abs(right[0][1] - left[0][1]) < 0.25 * face.eye_distance
    return face if level and 0.3 < face.eye_distance / side < 0.55 else None


def _cascade(name: str) -> Any:
    # OpenCV's classifiers keep scratch memory: two threads that share a classifier crash.
    return _load_cascade(name, threading.get_ident())


@cache
def _load_cascade(name: str, _thread: int) -> Any:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"))
