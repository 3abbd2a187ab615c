"""Deliberate copies are found; natural repetitions raise no alarm."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from samples import decode, encode, writing
from tamperscope.detector import Detector
from tamperscope.evidence import clones
from tamperscope.evidence.clones import Clone, keypoints, measurement, proof
from tamperscope.evidence.clones.exact import find_copies
from tamperscope.evidence.clones.keypoints import Repetition
from tamperscope.evidence.clones.shifts import find_shifts
from tamperscope.evidence.clones.verification import RepeatedRegions
from tamperscope.images import read_image

SIDE = 320
SOURCE = (90, 110)
TARGET = (225, 205)
RADIUS = 38


def scenery(seed: int = 3) -> NDArray[np.uint8]:
    """Texture at every scale, as in nature: no two places are alike."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), 128.0)
    for side, contrast in ((5, 40), (20, 25), (80, 18), (160, 12), (SIDE, 5)):
        layer = rng.normal(0, contrast, (side, side, 3)).astype(np.float32)
        picture += cv2.resize(layer, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)


def disc(centre: tuple[int, int], radius: float = RADIUS) -> NDArray[np.bool_]:
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    return np.asarray((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2)


def with_copy(
    picture: NDArray[np.uint8],
    target: tuple[int, int] = TARGET,
    *,
    scale: float = 1.0,
    degrees: float = 0.0,
    mirrored: bool = False,
) -> NDArray[np.uint8]:
    """Return the picture with the disc around `SOURCE` copied to `target`."""
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = linear @ np.diag([-1 if mirrored else 1, 1])
    transform = np.column_stack([linear, target - linear @ SOURCE])
    layer = cv2.warpAffine(picture, transform, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
    return np.where(disc(target, RADIUS * scale)[..., None], layer, picture)


def assert_covers(clone: Clone, source: NDArray[np.bool_], target: NDArray[np.bool_]) -> None:
    """Assert that the two regions are found, whichever is taken for the copy."""
    found = clone.source_mask | clone.target_mask
    truth = source | target
    assert (found & truth).sum() / (found | truth).sum() > 0.8
    x, y = np.argwhere(clone.source_mask).mean(0)[::-1]
    landed = clone.transform @ [x, y, 1]
    np.testing.assert_allclose(landed, np.argwhere(clone.target_mask).mean(0)[::-1], atol=2)


def test_regions_have_no_specks() -> None:
    picture = with_copy(scenery(), degrees=90, scale=0.9)
    (clone,) = clones.measure(read_image(encode(picture, "JPEG", quality=70))).clones
    for region in (clone.source_mask, clone.target_mask):
        *_, statistics, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
        assert statistics[:, cv2.CC_STAT_AREA].min() >= 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "unchanged"),
        ({"degrees": 30}, "turned by 30 degrees"),
        ({"scale": 1.2}, "scaled to"),
        ({"mirrored": True}, "mirrored"),
    ],
)
def test_a_copy_and_its_transform_are_found(change: dict[str, Any], words: str) -> None:
    evidence = clones.measure(read_image(with_copy(scenery(), **change)))
    assert evidence.notable
    assert len(evidence.clones) == 1
    assert_covers(evidence.clones[0], disc(SOURCE), disc(TARGET, RADIUS * change.get("scale", 1)))
    assert words in evidence.finding


def test_a_copy_is_found_in_another_strip_than_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoints, "STRIP", SIDE * SIDE // 3)
    (clone,) = clones.measure(read_image(with_copy(scenery(), degrees=30))).clones
    assert_covers(clone, disc(SOURCE), disc(TARGET))


@pytest.mark.parametrize("change", [{}, {"degrees": 30}, {"scale": 1.2}, {"mirrored": True}])
def test_the_copy_is_told_from_its_source(change: dict[str, Any]) -> None:
    (clone,) = clones.measure(read_image(with_copy(scenery(), **change))).clones
    assert clone.certainty > 0.9
    assert clone.target_mask[TARGET[::-1]]
    assert not clone.marked[SOURCE[::-1]]


def test_both_regions_are_marked_if_nothing_tells_them_apart() -> None:
    # The same content twice on an empty background: neither place reveals more than the other.
    picture = with_copy(np.where(disc(SOURCE)[..., None], scenery(), blank_wall()))
    (clone,) = clones.measure(read_image(picture)).clones
    assert clone.certainty < 0.7
    assert clone.marked[SOURCE[::-1]]
    assert clone.marked[TARGET[::-1]]


def test_the_copy_is_where_the_picture_was_compressed_only_once() -> None:
    picture = with_copy(np.where(disc(SOURCE)[..., None], scenery(), blank_wall()))
    undecided = clones.measure(read_image(picture))
    assert not undecided.clones[0].decided
    for copy, original in ((SOURCE, TARGET), (TARGET, SOURCE)):
        weighed = clones.weigh(undecided, disc(copy).astype(np.float32))
        (clone,) = weighed.clones
        assert clone.decided
        assert clone.marked[copy[::-1]]
        assert not clone.marked[original[::-1]]
        np.testing.assert_allclose(clone.transform @ [*original, 1], copy, atol=2)
        assert weighed.details["clones"] == [clone.to_json()]
    everywhere = clones.weigh(undecided, np.ones((SIDE, SIDE), np.float32))
    assert everywhere.clones[0].certainty == undecided.clones[0].certainty


def test_an_analysis_counts_the_earlier_compression() -> None:
    earlier = decode(encode(scenery(), "JPEG", quality=60))
    image = read_image(encode(with_copy(earlier), "JPEG", quality=92))
    (alone,) = clones.measure(image).clones
    (clone,) = Detector.load(threads=1).analyze(image).evidence[clones.NAME].clones
    assert clone.target_mask[TARGET[::-1]]
    assert clone.log_odds > alone.log_odds + 3


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_shift_of_a_compressed_copy_of_pure_grain_stands_out(mirrored: bool) -> None:
    rng = np.random.default_rng(4)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 1)
    picture = np.repeat(np.rint(128 + 50 * grain)[..., None], 3, 2).clip(0, 255).astype(np.uint8)
    compressed = decode(encode(with_copy(picture, mirrored=mirrored), quality=95))
    shifts = find_shifts(compressed[..., 0].astype(np.float32))
    likeliest = max(shifts, key=lambda repetition: repetition.weight).transform
    places = sorted([SOURCE, TARGET], reverse=bool(likeliest[1, 2] < 0))
    np.testing.assert_array_equal(likeliest @ [*places[0], 1], places[1])


def test_in_a_pattern_only_the_exact_copy_counts() -> None:
    rng = np.random.default_rng(2)
    tile = scenery()[:80, :80].astype(np.float64)
    fabric = np.tile(tile, (4, 4, 1)) + rng.normal(0, 9, (SIDE, SIDE, 1))
    (clone,) = clones.measure(read_image(with_copy(fabric.clip(0, 255).astype(np.uint8)))).clones
    assert_covers(clone, disc(SOURCE), disc(TARGET))


def test_the_map_marks_both_regions() -> None:
    evidence = clones.measure(read_image(with_copy(scenery())))
    assert evidence.map is not None
    assert evidence.map.shape == (SIDE, SIDE)
    assert evidence.map[SOURCE[::-1]] == evidence.map[TARGET[::-1]] == np.float32(evidence.strength)
    assert evidence.map[5, 5] == 0


def test_a_copy_survives_jpeg_compression() -> None:
    evidence = clones.measure(read_image(encode(with_copy(scenery()), quality=80)))
    assert len(evidence.clones) == 1
    assert_covers(evidence.clones[0], disc(SOURCE), disc(TARGET))


def test_two_copies_of_one_source_are_both_found() -> None:
    elsewhere = (225, 60)
    evidence = clones.measure(read_image(with_copy(with_copy(scenery()), elsewhere)))
    everything = np.any([clone.source_mask | clone.target_mask for clone in evidence.clones], axis=0)
    assert all(everything[y, x] for x, y in (SOURCE, TARGET, elsewhere))


def test_a_copy_in_a_large_image_is_marked_at_its_own_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "MOST_PIXELS", 240 * 240)
    evidence = clones.measure(read_image(with_copy(scenery())))
    assert len(evidence.clones) == 1
    assert_covers(evidence.clones[0], disc(SOURCE), disc(TARGET))


def bricks() -> NDArray[np.uint8]:
    """A brick wall: the bricks are alike, but each was laid by hand and weathered in its own way."""
    rng = np.random.default_rng(1)
    wall = np.full((SIDE, SIDE), 190.0)
    for row in range(SIDE // 20):
        for column in range(-1, SIDE // 40 + 1):
            x, y = 40 * column + 20 * (row % 2) + int(rng.integers(5)), 20 * row + int(rng.integers(5))
            cv2.rectangle(wall, (x, y), (x + 34, y + 14), float(rng.normal(120, 12)), cv2.FILLED)
    wall += rng.normal(0, 10, wall.shape)
    return np.repeat(wall.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def gradient() -> NDArray[np.uint8]:
    return np.repeat(np.repeat(np.linspace(40, 220, SIDE).astype(np.uint8)[None, :, None], SIDE, 0), 3, 2)


@pytest.mark.parametrize("picture", [scenery(), bricks(), gradient()], ids=["texture", "bricks", "gradient"])
def test_pictures_without_copies_raise_no_alarm(picture: NDArray[np.uint8]) -> None:
    evidence = clones.measure(read_image(picture))
    assert evidence.applicable
    assert not evidence.notable
    assert evidence.clones == ()


def test_a_small_image_is_not_judged() -> None:
    evidence = clones.measure(read_image(scenery()[:48, :200]))
    assert not evidence.applicable
    assert "too small" in evidence.finding


def test_equal_images_get_equal_evidence() -> None:
    first, second = (clones.measure(read_image(with_copy(scenery(), degrees=30))) for _ in range(2))
    assert first.strength == second.strength
    np.testing.assert_array_equal(first.map, second.map)


def blank_wall() -> NDArray[np.uint8]:
    """Hardly more than sensor noise."""
    noise = np.random.default_rng(5).normal(0, 4, (SIDE, SIDE, 3))
    return np.rint(90 + cv2.GaussianBlur(noise, (0, 0), 0.7)).astype(np.uint8)


def test_a_few_pixels_of_noise_that_repeat_bit_by_bit_are_a_copy() -> None:
    picture = blank_wall()
    source, target = np.zeros((2, SIDE, SIDE), bool)
    source[100:124, 90:105] = target[110:134, 150:165] = True
    picture[target] = picture[source]
    evidence = clones.measure(read_image(picture))
    assert len(evidence.clones) == 1
    assert_covers(evidence.clones[0], source, target)


def test_writing_is_not_judged() -> None:
    evidence = clones.measure(read_image(writing(SIDE)))
    assert not evidence.applicable
    assert "plain colours" in evidence.finding


def test_writing_next_to_a_photo_is_not_a_copy() -> None:
    evidence = clones.measure(read_image(np.vstack([writing(SIDE), with_copy(scenery()), scenery(5)])))
    (clone,) = evidence.clones
    beside = np.zeros((SIDE, SIDE), bool)
    assert_covers(clone, *(np.vstack([beside, disc(centre), beside]) for centre in (SOURCE, TARGET)))


@pytest.mark.parametrize("picture", [scenery(), gradient(), blank_wall(), writing(SIDE)])
def test_nothing_else_repeats_bit_by_bit(picture: NDArray[np.uint8]) -> None:
    assert list(find_copies(picture)) == []


def test_frequent_repetition_is_a_pattern() -> None:
    tile = np.random.default_rng(6).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    assert list(find_copies(np.tile(tile, (4, 4, 1)))) == []
    assert len(list(find_copies(np.tile(tile, (1, 2, 1))))) == 1


def noise(sigma: float) -> NDArray[np.float64]:
    return np.random.default_rng(8).normal(0, sigma, (SIDE, SIDE, 3))


def test_a_copy_repeats_the_noise_of_its_source_and_a_lookalike_does_not() -> None:
    """Two prints of one design are alike in structure, and each was photographed with noise of its own."""
    design = cv2.GaussianBlur(scenery(), (0, 0), 2)
    photographed_first = with_copy((design + noise(5)).clip(0, 255).astype(np.uint8))
    photographed_last = (with_copy(design) + noise(5)).clip(0, 255).astype(np.uint8)

    copy, lookalike = (clones.measure(read_image(each)) for each in (photographed_first, photographed_last))

    assert copy.notable
    assert len(copy.clones) == 1
    assert not lookalike.notable
    assert lookalike.clones == ()
    assert "look alike" in lookalike.finding
    assert lookalike.map is not None
    assert not lookalike.map.any()


def test_an_unproven_pair_is_weighed_but_a_tiny_one_cannot_be() -> None:
    gray = cv2.cvtColor(with_copy(scenery()), cv2.COLOR_RGB2GRAY).astype(np.float32)
    places = np.zeros((3, 2), np.float32)
    shift = np.array([[1.0, 0, 40], [0, 1, 40]])
    tiny, whole = np.zeros((2, SIDE, SIDE), bool)
    tiny[100:104, 100:104] = True
    whole[100:160, 100:160] = True

    repetition = Repetition(shift, places, places + 40, 0.9)

    assert proof.terms(RepeatedRegions(tiny, tiny, repetition), gray) is None
    assert proof.strength(RepeatedRegions(tiny, tiny, repetition), gray) == 0
    terms = proof.terms(RepeatedRegions(whole, whole, repetition), gray)
    assert terms is not None
    assert len(terms) == len(proof.TERMS) == len(proof.WEIGHTS)
    assert np.isfinite(terms).all()


@pytest.mark.parametrize(("contrast", "proves"), [(1, False), (4, True)])
def test_what_repeats_in_a_blank_region_proves_nothing(contrast: int, proves: bool) -> None:
    wall = (90 + contrast * (blank_wall() - 90.0)).clip(0, 255).astype(np.uint8)
    gray = np.asarray(with_copy(wall)[..., 1], np.float32)
    shift = np.subtract(TARGET, SOURCE)
    places = np.array([SOURCE], np.float32).repeat(9, 0)
    pair = RepeatedRegions(
        disc(SOURCE),
        disc(TARGET),
        Repetition(np.column_stack([np.eye(2), shift]), places, places + shift, 0.9),
    )
    assert (proof.strength(pair, gray) > 0.5) == proves
