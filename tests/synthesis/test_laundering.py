from collections import Counter

import numpy as np
import pytest
from PIL.JpegPresets import presets

from samples import photo
from tamperscope.images import read_image
from tamperscope.synthesis import laundering
from tamperscope.synthesis.laundering import Encoder, QuantisationTables, jpeg
from tamperscope.synthesis.recipe import Canvas

CAMERA = QuantisationTables((tuple(range(1, 65)), tuple(range(2, 66))))


@pytest.fixture
def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, 64)
    return np.repeat(np.add.outer(ramp, ramp)[..., None] / 2, 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        laundering.blur,
        laundering.contrast,
        laundering.noise,
        laundering.sharpen,
        laundering.shallow_focus,
    ],
)
def test_each_change_keeps_the_size_and_returns_its_parameters(change, picture: np.ndarray) -> None:
    changed, step = change(picture, np.random.default_rng(1))
    assert changed.shape == picture.shape
    assert changed.dtype == np.uint8
    assert (changed != picture).any()
    assert step.parameters


def test_lower_jpeg_quality_does_more_damage(picture: np.ndarray) -> None:
    noisy = laundering.noise(picture, np.random.default_rng(1))[0]
    damage = [
        np.abs(jpeg(noisy, Encoder(quality=quality))[0].astype(int) - noisy).mean()
        for quality in (50, 75, 95)
    ]
    assert damage[0] > damage[1] > damage[2] > 0


def test_a_shifted_jpeg_has_its_grid_off_the_corner() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    compressed, _, _ = jpeg(noisy, Encoder(quality=20), shift=(2, 5))
    grey = compressed.astype(int).mean(axis=2)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    by_phase = [steps[phase::8].mean() for phase in range(8)]
    # A block that starts at x = -5 ends between columns 2 and 3.
    assert int(np.argmax(by_phase)) == 2


def test_the_tables_of_cameras_and_of_photoshop_end_up_in_the_file(picture: np.ndarray) -> None:
    for encoder, wanted in (
        (Encoder(tables=CAMERA), CAMERA.tables),
        (Encoder(preset="high"), presets["high"]["quantization"]),
    ):
        structure = read_image(jpeg(picture, encoder)[1]).jpeg
        assert structure is not None
        found = [table.reshape(-1).tolist() for table in structure.quantisation_tables[:2]]
        assert found == [list(table) for table in wanted]


def test_subsampling_is_that_of_the_recipe(picture: np.ndarray) -> None:
    _, data, step = jpeg(picture, Encoder(quality=80, subsampling="4:2:2"))
    structure = read_image(data).jpeg
    assert structure is not None
    assert structure.sampling_factors[0] == (1, 2)
    assert step.parameters["subsampling"] == "4:2:2"


def test_images_are_published_in_many_ways_at_the_requested_size() -> None:
    canvas = photo(96, 96)
    mask = np.zeros((96, 96), bool)
    mask[30:50, 40:60] = True
    rng = np.random.default_rng(3)
    suffixes, compressions = Counter(), Counter()
    for _ in range(60):
        published = laundering.publish(Canvas(canvas, mask), [CAMERA], rng, 80)
        assert published.picture.pixels.shape == (80, 80, 3)
        assert published.picture.mask.any()
        suffixes[published.suffix] += 1
        compressions[sum(step.name == "jpeg" for step in published.picture.steps)] += 1
    assert set(suffixes) == {".jpg", ".webp", ".png"}
    assert set(compressions) >= {0, 1, 2, 3}


def test_most_images_keep_their_grid_as_if_they_had_not_been_cropped() -> None:
    rng = np.random.default_rng(3)
    crops = []
    for _ in range(80):
        published = laundering.publish(Canvas(photo(96, 96), np.zeros((96, 96), bool)), [], rng, 72)
        crops += [step.parameters for step in published.picture.steps if step.name == "crop"]
    on_grid = [crop["top"] % 8 == crop["left"] % 8 == 0 for crop in crops]
    assert 0.6 < np.mean(on_grid) < 0.9
