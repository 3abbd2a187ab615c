import numpy as np
import pytest

from samples import photo
from tamperscope.evaluation.corruption import CORRUPTIONS, scaled
from tamperscope.images import read_image

BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}


def corrupted(name: str, pixels: np.ndarray) -> np.ndarray:
    return read_image(BY_NAME[name].apply(pixels)).pixels


def test_every_corruption_has_a_unique_name_and_is_deterministic() -> None:
    pixels = photo(96, 64)
    assert len(BY_NAME) == len(CORRUPTIONS)
    for name in BY_NAME:
        once, again = corrupted(name, pixels), corrupted(name, pixels)
        np.testing.assert_array_equal(once, again)
        assert once.shape != pixels.shape or (once != pixels).any(), name


def test_stronger_levels_change_more(rng: np.random.Generator) -> None:
    # Compression and blur remove detail, so the image needs some.
    pixels = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)

    def change(name: str) -> float:
        return float(np.abs(corrupted(name, pixels).astype(float) - pixels).mean())

    for levels in (
        [f"JPEG {quality}" for quality in (100, 90, 80, 70, 60, 50)],
        ["blur σ 1", "blur σ 2"],
        ["noise σ 5", "noise σ 10"],
    ):
        changes = [change(name) for name in levels]
        assert changes == sorted(changes)


def test_a_compressed_image_is_returned_as_a_jpeg_file() -> None:
    for name in ("JPEG 70", "shared and forwarded"):
        assert read_image(BY_NAME[name].apply(photo())).format == "JPEG"


@pytest.mark.parametrize(
    ("name", "size"),
    [("resize 0.5", (1200, 600)), ("shared once", (2048, 1024)), ("shared and forwarded", (1280, 640))],
)
def test_large_images_are_scaled(name: str, size: tuple[int, int]) -> None:
    assert corrupted(name, photo(2400, 1200)).shape[1::-1] == size


def test_the_ground_truth_is_scaled_with_the_image() -> None:
    truth = np.zeros((64, 96), bool)
    truth[16:32, 24:72] = True
    half = scaled(truth, 32, 48)
    np.testing.assert_array_equal(half, truth[::2, ::2])
    np.testing.assert_array_equal(scaled(truth, 64, 96), truth)
