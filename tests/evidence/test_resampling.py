from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import samples
from tamperscope.evidence import resampling
from tamperscope.images import read_image

REGION = slice(104, 264), slice(120, 280)


def never_scaled(seed: int = 0) -> NDArray[np.uint8]:
    """Texture at every scale, made without any interpolation: (384, 512, 3)."""
    rng = np.random.default_rng(seed)
    picture = np.full((384, 512), 128.0, np.float32)
    for sigma, contrast in ((0.7, 10), (2, 14), (8, 18), (30, 25)):
        layer = cv2.GaussianBlur(rng.normal(0, 1, picture.shape).astype(np.float32), (0, 0), sigma)
        picture += contrast * layer / layer.std()
    return np.repeat(np.rint(picture.clip(0, 255)).astype(np.uint8)[..., None], 3, axis=2)


def scaled(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))


@pytest.mark.parametrize("factor", [1.2, 1.5])
def test_an_enlarged_region_is_located(factor: float) -> None:
    forged = never_scaled()
    forged[REGION] = scaled(never_scaled(seed=10), factor)[:160, :160]
    evidence = resampling.measure(read_image(forged))
    assert evidence.notable
    assert "a period of" in evidence.finding
    assert evidence.map is not None
    outside = np.ones(evidence.map.shape, bool)
    outside[REGION] = False
    assert evidence.map[REGION].mean() > 2 * evidence.map[outside].mean()


def test_a_pasted_region_that_was_not_scaled_is_not_notable() -> None:
    forged = never_scaled()
    forged[REGION] = never_scaled(seed=10)[:160, :160]
    assert not resampling.measure(read_image(forged)).notable


def test_a_picture_scaled_as_a_whole_is_not_notable() -> None:
    evidence = resampling.measure(read_image(scaled(never_scaled(), 1.3)))
    assert evidence.applicable
    assert not evidence.notable


def test_the_period_of_jpeg_is_not_notable() -> None:
    assert not resampling.measure(read_image(samples.encode(never_scaled(), quality=90))).notable


def test_a_strongly_compressed_picture_is_not_judged() -> None:
    evidence = resampling.measure(read_image(samples.encode(never_scaled(), quality=50)))
    assert not evidence.applicable
    assert "compressed too strongly" in evidence.finding
