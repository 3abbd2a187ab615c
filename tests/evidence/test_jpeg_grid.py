from __future__ import annotations

import cv2
import numpy as np

import samples
from tamperscope.evidence import jpeg_grid
from tamperscope.images import read_image

REGION = slice(104, 264), slice(120, 280)


def compressed(seed: int, quality: int = 75) -> np.ndarray:
    return samples.decode(samples.encode(samples.scene(seed=seed), quality=quality))


def spliced(donor: np.ndarray, shift: int) -> np.ndarray:
    """The host of seed 0 with a part of the donor, whose grid is shifted by `shift` rows and columns."""
    picture = compressed(0).copy()
    picture[REGION] = donor[shift : shift + 160, shift : shift + 160]
    return picture


def overlap(marked: np.ndarray) -> float:
    """Return the intersection over union of the marked and the spliced region."""
    truth = np.zeros(marked.shape, bool)
    truth[REGION] = True
    return float((marked & truth).sum() / (marked | truth).sum())


def test_a_paste_with_a_shifted_grid_is_located() -> None:
    evidence = jpeg_grid.measure(read_image(spliced(compressed(1), shift=3)))
    assert evidence.notable
    assert evidence.map is not None
    assert overlap(evidence.map > 0.5) > 0.8
    assert "different JPEG grid" in evidence.finding


def test_a_paste_on_the_same_grid_is_not_seen() -> None:
    evidence = jpeg_grid.measure(read_image(spliced(compressed(1), shift=8)))
    assert evidence.strength == 0


def test_a_never_compressed_paste_lacks_the_grid() -> None:
    evidence = jpeg_grid.measure(read_image(spliced(samples.scene(seed=1), shift=0)))
    assert evidence.notable
    assert evidence.map is not None
    marked = evidence.map > 0.5
    assert marked[REGION].mean() > 0.2
    assert marked[REGION].sum() > 0.95 * marked.sum()
    assert "lacks the JPEG grid" in evidence.finding


def test_plain_jpegs_follow_one_grid() -> None:
    for quality in (50, 75, 90, 95):
        evidence = jpeg_grid.measure(read_image(samples.encode(samples.scene(), quality=quality)))
        assert evidence.strength == 0
        assert evidence.finding == "The whole picture follows one JPEG grid; no region departs from it."


def test_a_never_compressed_picture_has_no_grid() -> None:
    evidence = jpeg_grid.measure(read_image(samples.scene()))
    assert evidence.strength == 0
    assert evidence.finding == "The picture shows no JPEG grid."


def test_the_grid_of_a_cropped_jpeg_is_read() -> None:
    votes = jpeg_grid.grid_votes(np.ascontiguousarray(compressed(0)[3:, 5:, 1]))
    assert jpeg_grid.main_grid(votes) == (8 - 3) * 8 + (8 - 5)


def test_votes_are_the_same_in_pictures_of_any_height() -> None:
    tall = np.ascontiguousarray(np.tile(compressed(0)[:, :, 1], (6, 1)))
    votes = jpeg_grid.grid_votes(tall)
    for top in (232, 240, 488):
        part = jpeg_grid.grid_votes(tall[top : top + 64])
        np.testing.assert_array_equal(votes[top + 7 : top + 57], part[7:57])


def test_no_window_splits_votes_that_are_connected() -> None:
    rng = np.random.default_rng(5)
    votes = np.full((603, 750), -1, np.int8)
    for _ in range(40):
        top, left = rng.integers(0, 600), rng.integers(0, 740)
        patch = votes[top : top + rng.integers(5, 60), left : left + rng.integers(5, 60)]
        patch[rng.random(patch.shape) < 0.04] = 3
    voters = votes == 3
    count, labels = cv2.connectedComponents(cv2.dilate(voters.view(np.uint8), np.ones((12, 12), np.uint8)))
    sizes = np.bincount(labels[voters], minlength=count)
    windows = list(jpeg_grid._crowds(votes, 3, fewest=20))
    assert len(windows) > 5

    for label in np.flatnonzero(sizes >= 20):
        own = (labels == label) & voters
        assert any(found[own[window]].astype(bool).sum() == own.sum() for window, found in windows)
