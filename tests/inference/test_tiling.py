from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tamperscope.inference import tiling

SIZES = [(32, 32), (512, 512), (513, 700), (40, 1500), (1111, 640), (1633, 929)]


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


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_tiles_are_full_size_and_end_at_the_border(height: int, width: int) -> None:
    tiles = tiling.plan(height, width)
    assert {tile.rows.stop - tile.rows.start for tile in tiles} == {min(512, height)}
    assert {tile.columns.stop - tile.columns.start for tile in tiles} == {min(512, width)}
    assert max(tile.rows.stop for tile in tiles) == height
    assert max(tile.columns.stop for tile in tiles) == width


def test_neighbours_share_at_least_the_overlap() -> None:
    for length in range(513, 3000, 7):
        starts = sorted({tile.columns.start for tile in tiling.plan(100, length)})
        assert max(np.diff(starts)) <= 512 - tiling.OVERLAP


def test_a_tile_counts_nothing_at_inner_borders_and_fully_at_the_images() -> None:
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
    with pytest.raises(ValueError, match="overlap"):
        tiling.plan(100, 100, tile=64, overlap=40)
