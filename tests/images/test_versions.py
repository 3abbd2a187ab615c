"""Two versions of a picture are laid over each other, and only what was changed differs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import samples
from tamperscope.images.versions import LONGEST_SIDE, Comparison, compare, scaled

LEFT, TOP, SIDE = 150, 90, 40


@pytest.fixture(scope="module")
def scene() -> NDArray[np.uint8]:
    """Return 320 x 240 pixels of discs and boxes, in which keypoints are found."""
    return drawn(1)


def drawn(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    picture = np.full((240, 320, 3), 120, np.uint8)
    for _ in range(90):
        colour = tuple(int(value) for value in rng.integers(20, 235, 3))
        x, y = int(rng.integers(0, 320)), int(rng.integers(0, 240))
        if rng.random() < 0.5:
            cv2.circle(picture, (x, y), int(rng.integers(4, 20)), colour, -1)
        else:
            cv2.rectangle(picture, (x, y), (x + int(rng.integers(5, 40)), y + 12), colour, -1)
    return picture


def changed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = picture.copy()
    picture[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = 255 - picture[TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return picture


def saved(picture: NDArray[np.uint8], quality: int = 75) -> NDArray[np.uint8]:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def box(found: Comparison) -> tuple[int, int, int, int]:
    points = np.concatenate([np.array(region.polygon) for region in found.regions])
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


VERSIONS = {
    "saved again": lambda picture: picture,
    "scaled": lambda picture: cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA),
    "enlarged": lambda picture: cv2.resize(picture, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC),
    "cropped": lambda picture: picture[30:, 40:],
    "mirrored": lambda picture: picture[:, ::-1],
    "turned": lambda picture: np.rot90(picture),
    "darkened": lambda picture: (picture * 0.7).astype(np.uint8),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_only_what_was_changed_differs(scene, version):
    found = compare(scene, saved(np.ascontiguousarray(VERSIONS[version](changed(scene)))))

    assert found is not None
    left, top, right, bottom = box(found)
    assert abs(left - LEFT) <= 5
    assert abs(top - TOP) <= 5
    assert abs(right - (LEFT + SIDE)) <= 5
    assert abs(bottom - (TOP + SIDE)) <= 5


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_without_a_change_differs_nowhere(scene, version):
    found = compare(scene, saved(np.ascontiguousarray(VERSIONS[version](scene))))

    assert found is not None
    assert found.regions == ()
    assert found.shared == pytest.approx(0.77 if version == "cropped" else 1, abs=0.02)


def test_the_matrix_takes_pixels_of_the_second_to_those_of_the_first(scene):
    found = compare(scene, scene[30:, 40:])

    assert found is not None
    assert found.matrix == pytest.approx(np.array([[1, 0, 40], [0, 1, 30]]), abs=0.2)


def test_pictures_of_other_scenes_are_not_laid_over_each_other(scene):
    assert compare(scene, drawn(2)) is None


def test_pictures_without_keypoints_are_compared_where_they_are_alike():
    smooth = samples.photo(160, 120)

    assert compare(smooth, smooth).regions == ()
    assert compare(np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)).regions == ()
    assert compare(smooth, np.zeros((64, 64, 3), np.uint8)) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (32, 32)])
def test_any_size_is_compared_or_not(scene, shape):
    compare(scene, scaled(np.full((*shape, 3), 9, np.uint8)))


def test_large_pictures_are_scaled_down():
    assert scaled(np.zeros((3000, 1500, 3), np.uint8)).shape == (LONGEST_SIDE, LONGEST_SIDE // 2, 3)
