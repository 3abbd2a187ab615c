import cv2
import numpy as np
import pytest
import skimage.data

from tamperscope.synthesis.copymove import copy_move
from tamperscope.synthesis.face import reshape_face, retouch_face, swap_face
from tamperscope.synthesis.faces import Face, find_face
from tamperscope.synthesis.inpainting import METHODS, fits, inpaint
from tamperscope.synthesis.pasting import match_colour, match_lighting
from tamperscope.synthesis.patchmatch import fill
from tamperscope.synthesis.recipe import Canvas
from tamperscope.synthesis.segments import find_foreground, grow_superpixels
from tamperscope.synthesis.shapes import brush_stroke, cut, dilate
from tamperscope.synthesis.splicing import Donation, splice

SIDE = 96


def picture(pixels: np.ndarray) -> Canvas:
    return Canvas(pixels, np.zeros(pixels.shape[:2], bool), sources=("host.jpg",))


@pytest.fixture
def scene() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def donation(scene: np.ndarray, *cut_off: str) -> Donation:
    piece = cut(scene, square(20, 20, 30))
    assert piece is not None
    return Donation(piece, "donor.jpg", "annotation", 0.5, frozenset(cut_off))


def test_splicing_changes_the_host_only_around_the_mask(scene: np.ndarray) -> None:
    host = picture(np.full((256, 256, 3), 128, np.uint8))
    for seed in range(20):
        spliced = splice(host, donation(scene), np.random.default_rng(seed))
        assert spliced is not None
        changed = (spliced.pixels != host.pixels).any(axis=2)
        assert changed[spliced.mask].mean() > 0.8
        assert not changed[~dilate(spliced.mask, 12)].any()
        assert spliced.sources == ("host.jpg", "donor.jpg")


def test_a_piece_cut_off_by_the_lower_border_stays_there(scene: np.ndarray) -> None:
    host = picture(np.full((256, 256, 3), 128, np.uint8))
    for seed in range(10):
        spliced = splice(host, donation(scene, "bottom"), np.random.default_rng(seed))
        assert spliced is not None
        assert spliced.mask[-8:].any()


def test_matching_brings_colour_and_light_closer() -> None:
    ramp = np.linspace(60, 200, SIDE)
    reference = np.repeat(np.tile(ramp, (SIDE, 1))[..., None], 3, 2).astype(np.uint8)
    layer = np.full((SIDE, SIDE, 3), (90, 60, 60), np.uint8)
    mask = np.ones((SIDE, SIDE), bool)
    matched = match_colour(layer, mask, reference, 1.0)
    assert abs(matched.mean() - reference.mean()) < abs(layer.mean() - reference.mean())
    lit = match_lighting(layer, mask, reference, 1.0).astype(float)
    assert lit[:, -8:].mean() > 1.3 * lit[:, :8].mean()
    assert layer.mean() == pytest.approx(lit.mean(), rel=0.1)


def test_copies_land_neither_on_their_source_nor_on_one_another(scene: np.ndarray) -> None:
    source = square(10, 10, 20)
    numbers = set()
    for seed in range(20):
        moved = copy_move(picture(scene), source, np.random.default_rng(seed))
        assert moved is not None
        assert np.array_equal(moved.source_mask, source)
        assert not (moved.mask & source).any()
        parts = cv2.connectedComponents(moved.mask.astype(np.uint8))[0] - 1
        assert parts == len(moved.steps)
        numbers.add(parts)
    assert len(numbers) > 1


def test_a_plain_copy_repeats_the_source(scene: np.ndarray) -> None:
    source = square(10, 10, 24)
    for seed in range(60):
        moved = copy_move(picture(scene), source, np.random.default_rng(seed))
        assert moved is not None
        if moved.mask.sum() == source.sum() and np.array_equal(moved.pixels[moved.mask], scene[source]):
            return
    pytest.fail("no plain copy in 60 tries")


@pytest.mark.parametrize("method", METHODS)
def test_inpainting_fills_the_hole_and_leaves_the_rest(scene: np.ndarray, method: str) -> None:
    hole = square(36, 36, 24)
    filled = inpaint(picture(scene), hole, np.random.default_rng(0), method)
    assert filled is not None
    assert np.array_equal(filled.mask, hole)
    changed = (filled.pixels != scene).any(axis=2)
    assert changed[hole].mean() > 0.9
    assert not changed[~dilate(hole, 8)].any()


def test_wide_holes_are_not_filled_by_diffusion() -> None:
    wide, narrow = square(20, 20, 40), brush_stroke((SIDE, SIDE), np.random.default_rng(0))
    assert fits(wide, "stamp")
    assert not fits(wide, "diffusion")
    assert fits(narrow, "diffusion")


def test_exemplar_filling_continues_a_texture() -> None:
    columns = np.where(np.arange(SIDE) // 6 % 2 == 0, 40, 210).astype(np.uint8)
    stripes = np.repeat(np.tile(columns, (SIDE, 1))[..., None], 3, axis=2)
    hole = square(34, 30, 28)
    damaged = stripes.copy()
    damaged[hole] = 128
    filled = fill(damaged, hole, np.random.default_rng(0))
    assert filled is not None
    assert np.abs(filled[hole].astype(int) - stripes[hole]).mean() < 12


def test_foreground_and_superpixels_find_an_object_without_annotation() -> None:
    rng = np.random.default_rng(4)
    scene = np.full((120, 160, 3), (40, 90, 50), np.uint8)
    disc = np.zeros((120, 160), np.uint8)
    cv2.circle(disc, (80, 60), 30, 1, -1)
    scene[disc > 0] = (210, 60, 40)
    scene = np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)
    found = find_foreground(scene)
    assert found is not None
    truth = cv2.resize(disc, found.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.85
    grown = grow_superpixels(scene, rng)
    assert grown is not None
    assert 0.01 < grown.mean() < 0.4


def test_an_image_of_one_colour_has_no_foreground() -> None:
    assert find_foreground(np.full((120, 160, 3), 90, np.uint8)) is None


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def face(portrait: np.ndarray) -> Face:
    found = find_face(portrait)
    assert found is not None
    return found


def test_a_face_is_found_by_its_eyes(face: Face) -> None:
    assert face.left_eye == pytest.approx((202, 102), abs=8)
    assert face.right_eye == pytest.approx((247, 102), abs=8)


def test_no_face_is_found_in_a_texture() -> None:
    assert find_face(skimage.data.brick()[..., None].repeat(3, axis=2)) is None


def test_face_forgeries_change_the_face_and_nothing_else(portrait: np.ndarray, face: Face) -> None:
    rng = np.random.default_rng(2)
    mirrored = np.ascontiguousarray(portrait[:, ::-1])
    (left_x, left_y), (right_x, right_y) = face.left_eye, face.right_eye
    mirrored_face = Face((511 - right_x, right_y), (511 - left_x, left_y))
    host = picture(portrait)
    for changed in (
        swap_face(host, face, mirrored, mirrored_face, "donor.jpg", rng),
        reshape_face(host, face, rng),
        retouch_face(host, face, rng),
    ):
        assert changed is not None
        difference = np.abs(changed.pixels.astype(int) - portrait).sum(axis=2)
        assert difference[changed.mask].mean() > 3
        assert not difference[~dilate(changed.mask, 12)].any()
        assert 0.002 < changed.mask.mean() < 0.2


def test_a_swapped_face_has_its_eyes_where_the_hosts_were(portrait: np.ndarray, face: Face) -> None:
    small = cv2.resize(portrait, (384, 384), interpolation=cv2.INTER_AREA)
    swapped = swap_face(
        picture(portrait), face, small, face.moved(0.75, 0, 0), "donor.jpg", np.random.default_rng(1)
    )
    assert swapped is not None
    # The donor is the host itself at another scale, so the aligned donor matches the host.
    inner = cv2.erode(swapped.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.abs(swapped.pixels[inner].astype(int) - portrait[inner]).mean() < 10
