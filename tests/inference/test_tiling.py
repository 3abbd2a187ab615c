from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tamperscope.inference import tiling

SIZES = [(32, 32), (640, 640), (641, 900), (40, 1500), (1311, 640), (1633, 929)]


def blurred(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """A 5 x 5 kernel of unequal weights with zero padding: the smallest network whose borders show."""
    kernel = np.random.default_rng(0).random((5, 5), np.float32)
    padded = np.pad(pixels, 2)
    height, width = pixels.shape
    shifts = [(dy, dx) for dy in range(5) for dx in range(5)]
    return sum(kernel[dy, dx] * padded[dy : dy + height, dx : dx + width] for dy, dx in shifts) / kernel.sum()


def tiled(pixels: NDArray[np.float32], tile: int, overlap: int) -> NDArray[np.float32]:
    tiles = tiling.plan(*pixels.shape, tile=tile, overlap=overlap)
    assert len(tiles) > 1
    return tiling.stitch(tiles, (blurred(pixels[part.rows, part.columns]) for part in tiles))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_weights_sum_to_one_at_every_pixel(height: int, width: int) -> None:
    tiles = tiling.plan(height, width)
    total = tiling.stitch(tiles, (np.ones_like(tile.weights) for tile in tiles))
    assert total.shape == (height, width)
    # Products of float32 weights round by some units in the last place.
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", [32, 639, 640, 641, 700, 1024, 1732, 2309, 4001])
def test_tiles_are_aligned_even_and_end_at_the_border(length: int) -> None:
    spans = sorted({(tile.columns.start, tile.columns.stop) for tile in tiling.plan(100, length)})
    sizes = [stop - start for start, stop in spans]
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(start % tiling.ALIGNMENT == 0 for start, _ in spans)
    # The last tile may be some pixels short of a multiple; the runtime pads it.
    assert len(set(sizes[:-1])) <= 1
    assert 0 <= sizes[0] - sizes[-1] < tiling.ALIGNMENT
    assert max(sizes) <= tiling.TILE


def test_neighbours_share_at_least_the_overlap() -> None:
    for length in range(641, 3000, 7):
        spans = sorted({(tile.columns.start, tile.columns.stop) for tile in tiling.plan(100, length)})
        assert all(left[1] - right[0] >= tiling.OVERLAP for left, right in itertools.pairwise(spans))


def test_the_work_grows_with_the_pixels() -> None:
    for height, width in itertools.product(range(512, 2400, 97), repeat=2):
        work = sum(tile.weights.size for tile in tiling.plan(height, width))
        assert work < 1.45 * height * width


def test_weights_are_zero_at_inner_borders_and_one_at_those_of_the_image() -> None:
    left, right = tiling.plan(100, 700)
    assert left.column_weights[0] == right.column_weights[-1] == 1
    assert left.column_weights[-1] == right.column_weights[0] == 0
    assert np.abs(np.diff(left.column_weights)).max() < 0.05


def test_stitching_leaves_no_seam_on_a_constant_image() -> None:
    flat = np.full((90, 120), 0.7, np.float32)
    stitched = tiled(flat, tile=48, overlap=16)
    # The kernel reaches two pixels and a 16-pixel overlap guards four: only float32 rounding is left.
    np.testing.assert_allclose(stitched, blurred(flat), rtol=0, atol=1e-6)


def test_shifting_the_image_shifts_the_map(rng: np.random.Generator) -> None:
    image = rng.random((90, 130), np.float32)
    there = tiled(image[:, :-7], tile=48, overlap=16)
    moved = tiled(image[:, 7:], tile=48, overlap=16)
    # Away from the image's own border, where padding shows in both.
    np.testing.assert_allclose(there[:, 9:-2], moved[:, 2:-9], rtol=0, atol=1e-6)


def test_an_overlap_that_does_not_fit_is_refused() -> None:
    for overlap in (40, 48, 0):
        with pytest.raises(ValueError, match="overlap"):
            tiling.plan(100, 100, tile=64, overlap=overlap)
