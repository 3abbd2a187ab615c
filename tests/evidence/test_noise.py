from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import samples
from tamperscope.evidence import noise
from tamperscope.images import read_image

REGION = slice(96, 272), slice(112, 288)


def noisy(sigma: float, seed: int = 0) -> NDArray[np.uint8]:
    """A scene with white noise of standard deviation `sigma` added."""
    scene = samples.scene(seed=seed)
    grain = np.random.default_rng(seed).normal(0, sigma, scene.shape)
    return np.rint(np.clip(scene + grain, 0, 255)).astype(np.uint8)


def with_region_of(picture: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    forged = picture.copy()
    forged[REGION] = other[REGION]
    return forged


@pytest.mark.parametrize(
    ("forged", "words"),
    [
        (with_region_of(noisy(0), noisy(4, seed=1)), "clearly more"),
        (with_region_of(noisy(4), cv2.GaussianBlur(noisy(4), (0, 0), 1.2)), "clearly less"),
    ],
    ids=["noisier", "smoothed"],
)
def test_a_region_with_different_noise_is_located(forged: NDArray[np.uint8], words: str) -> None:
    evidence = noise.measure(read_image(forged))
    assert evidence.notable
    assert words in evidence.finding
    assert evidence.map is not None
    outside = np.ones(evidence.map.shape, bool)
    outside[REGION] = False
    assert evidence.map[REGION].mean() > 4 * evidence.map[outside].mean()


def test_uniform_noise_of_any_level_is_not_a_finding() -> None:
    for sigma in (0, 4, 10):
        evidence = noise.measure(read_image(noisy(sigma)))
        assert evidence.strength is not None
        assert evidence.strength < 0.2


def test_noise_that_grows_with_brightness_as_in_a_camera_is_not_a_finding() -> None:
    scene = samples.scene().astype(np.float64)
    scene[:, 256:] *= 0.4
    grain = np.random.default_rng(0).normal(0, 1, scene.shape)
    photo = np.rint(np.clip(scene + grain * (1 + scene / 40), 0, 255)).astype(np.uint8)
    assert not noise.measure(read_image(photo)).notable


def test_a_picture_whose_noise_compression_erased_is_not_judged() -> None:
    evidence = noise.measure(read_image(samples.encode(noisy(0), quality=40)))
    assert not evidence.applicable
    assert "left no noise" in evidence.finding
