import itertools

import numpy as np
import pytest

from tamperscope.report import ManipulationType
from tamperscope.synthesis import Forgery, PhotoLibrary, forge
from tamperscope.synthesis.copymove import copy_move
from tamperscope.synthesis.inpainting import inpaint
from tamperscope.synthesis.shapes import cut, dilate
from tamperscope.synthesis.splicing import splice


@pytest.fixture(scope="module")
def forgeries(library: PhotoLibrary) -> list[Forgery]:
    rng = np.random.default_rng(3)
    return [forge(library, rng, 64) for _ in range(60)]


def test_every_forgery_has_pixels_mask_type_and_recipe(forgeries: list[Forgery]) -> None:
    for forgery in forgeries:
        assert forgery.pixels.shape == (64, 64, 3)
        assert forgery.mask.shape == (64, 64)
        assert forgery.recipe
        assert forgery.mask.any() == (forgery.type is not None)


def test_authentic_images_are_among_them(forgeries: list[Forgery]) -> None:
    share = np.mean([forgery.type is None for forgery in forgeries])
    assert 0.2 < share < 0.6


def test_the_same_seed_gives_the_same_bytes(library: PhotoLibrary, forgeries: list[Forgery]) -> None:
    again = np.random.default_rng(3)
    for forgery in itertools.islice(forgeries, 5):
        repeated = forge(library, again, 64)
        assert repeated.pixels.tobytes() == forgery.pixels.tobytes()
        assert repeated.recipe == forgery.recipe


def test_without_faces_no_face_is_claimed(forgeries: list[Forgery]) -> None:
    assert all(forgery.type is not ManipulationType.FACE for forgery in forgeries)


@pytest.fixture
def scene() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((96, 96), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_splicing_changes_the_host_only_around_the_mask(scene: np.ndarray) -> None:
    host = np.full((96, 96, 3), 128, np.uint8)
    piece = cut(scene, square(20, 20, 30))
    assert piece is not None
    outcomes = [splice(host, piece, np.random.default_rng(seed)) for seed in range(20)]
    for result, mask, step in (outcome for outcome in outcomes if outcome is not None):
        if step.parameters["poisson"]:
            continue
        changed = (result != host).any(axis=2)
        near = dilate(mask, 8)
        assert changed[mask].mean() > 0.8
        assert not changed[~near].any()


def test_a_copy_never_lands_on_its_source(scene: np.ndarray) -> None:
    source = square(10, 10, 24)
    for seed in range(10):
        outcome = copy_move(scene, source, np.random.default_rng(seed))
        assert outcome is not None
        _, mask, _ = outcome
        assert (mask & source).sum() < 0.1 * mask.sum()


def test_a_plain_copy_repeats_the_source(scene: np.ndarray) -> None:
    for seed in range(40):
        outcome = copy_move(scene, square(10, 10, 24), np.random.default_rng(seed))
        assert outcome is not None
        result, mask, step = outcome
        if step.parameters["scale"] == 1 and step.parameters["degrees"] == 0:
            inside = result[mask].reshape(-1)
            source = scene[10:34, 10:34]
            if np.array_equal(inside, source.reshape(-1)):
                return
    pytest.fail("no plain copy in 40 tries")


def test_inpainting_fills_the_hole_and_leaves_the_rest(scene: np.ndarray) -> None:
    hole = square(30, 30, 30)
    for seed in range(6):
        outcome = inpaint(scene, hole, np.random.default_rng(seed))
        assert outcome is not None
        result, mask, _ = outcome
        assert np.array_equal(mask, hole)
        assert (result != scene).any(axis=2)[hole].mean() > 0.9
        assert not (result != scene).any(axis=2)[~dilate(hole, 8)].any()
