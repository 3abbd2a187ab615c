from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import pytest

from tamperscope.images import rendering


@pytest.fixture
def pixels() -> np.ndarray:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    return pixels


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[4:9, 10:25] = True
    return mask


def test_overlay_leaves_everything_outside_the_mask_as_it_was(pixels, mask):
    assert np.array_equal(rendering.overlay(pixels, mask)[~mask], pixels[~mask])


def test_overlay_moves_every_masked_pixel_towards_green(mask):
    steps = np.array([0, 1, 127, 128, 254, 255], np.uint8)
    every = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 1, 3)

    blended = rendering.overlay(every, np.ones(every.shape[:2], bool))

    green = np.array([0, 255, 0])
    before, after = (np.abs(picture.astype(int) - green) for picture in (every, blended))
    assert np.all(after <= before)
    assert np.all((after < before) | (before == 0))


def test_masked_image_is_the_original_inside_and_black_outside(pixels, mask):
    masked = rendering.masked_image(pixels, mask)

    assert np.array_equal(masked[mask], pixels[mask])
    assert not masked[~mask].any()


def test_heatmap_gets_lighter_with_the_probability():
    coloured = rendering.heatmap(np.linspace(0, 1, 256, dtype=np.float32)[np.newaxis])

    lightness = np.asarray(PIL.Image.fromarray(coloured).convert("L")).astype(int)[0]
    assert coloured.shape == (1, 256, 3)
    assert np.all(np.diff(lightness) >= -1)
    assert lightness[0] < 10
    assert lightness[-1] > 200


def test_heatmap_of_high_probabilities_is_warm():
    red, _, blue = rendering.heatmap(np.full((1, 1), 0.7, np.float32))[0, 0].tolist()

    assert red > 2 * blue


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_png_is_lossless(pixels, mode):
    picture = pixels if mode == "RGB" else np.ascontiguousarray(pixels[..., 0])

    decoded = PIL.Image.open(BytesIO(rendering.encode_png(picture)))

    assert decoded.mode == mode
    assert np.array_equal(np.asarray(decoded), picture)


def test_mask_image_has_only_the_two_extremes(mask):
    grey = rendering.mask_image(mask)

    assert grey.dtype == np.uint8
    assert np.array_equal(grey == 255, mask)
    assert np.array_equal(grey == 0, ~mask)
