import numpy as np
import pytest

from tamperscope.synthesis import laundering


@pytest.fixture
def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, 64)
    return np.repeat(np.add.outer(ramp, ramp)[..., None] / 2, 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    "change", [laundering.blur, laundering.contrast, laundering.noise, laundering.sharpen, laundering.webp]
)
def test_each_change_keeps_the_size_and_says_what_it_did(change, picture: np.ndarray) -> None:
    changed, step = change(picture, np.random.default_rng(1))
    assert changed.shape == picture.shape
    assert changed.dtype == np.uint8
    assert step.parameters


def test_jpeg_quality_orders_the_damage(picture: np.ndarray) -> None:
    noisy = laundering.noise(picture, np.random.default_rng(1))[0].astype(int)
    damage = [
        np.abs(
            laundering.jpeg(noisy.astype(np.uint8), quality, np.random.default_rng(1), shifted=False)[0]
            - noisy
        ).mean()
        for quality in (50, 75, 95)
    ]
    assert damage[0] > damage[1] > damage[2] > 0


def test_a_shifted_jpeg_has_its_grid_off_the_corner() -> None:
    rng = np.random.default_rng(2)
    noisy = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    compressed, step = laundering.jpeg(noisy, 20, rng, shifted=True)
    grey = compressed.astype(int).mean(axis=2)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    by_phase = [steps[phase::8].mean() for phase in range(8)]
    # A block that starts at x = -left ends between columns 7 - left and 8 - left.
    assert int(np.argmax(by_phase)) == (7 - step.parameters["shift"][1]) % 8
