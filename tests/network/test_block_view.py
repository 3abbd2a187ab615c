from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

import samples
from tamperscope.network.block_view import BlockStatistics, BlockView
from tamperscope.network.high_pass import IMAGENET_MEAN, IMAGENET_STD

STEPS = [2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 30]


def normalised(pixels: np.ndarray) -> Tensor:
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()[None] / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (image - mean) / std


def compressed(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return the image after JPEG compression with all quantisation steps equal to `step`."""
    file = BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", qtables=[[step] * 64] * 2, subsampling="4:4:4")
    return np.asarray(PIL.Image.open(file))


def lattices(pixels: np.ndarray) -> Tensor:
    """Return the mean lattice statistic over blocks and frequencies, for each step that is tried."""
    found = BlockStatistics()(normalised(pixels))[0, : 15 * len(STEPS)]
    return found.reshape(15, len(STEPS), -1).mean(dim=(0, 2))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    rng = np.random.default_rng(3)
    textured = samples.photo(128, 128, seed=1) + rng.normal(0, 25, (128, 128, 1))
    return np.clip(textured, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("step", [5, 7, 12, 17])
def test_an_earlier_compression_shows_at_its_own_step(photo: np.ndarray, step: int) -> None:
    place = STEPS.index(step)
    before, after = lattices(photo)[place], lattices(compressed(photo, step))[place]
    assert before < 0.3
    assert after > 0.85


def test_statistics_stay_exact_when_training_in_half_precision(photo: np.ndarray) -> None:
    image = normalised(compressed(photo, 12))
    with torch.autocast("cpu", torch.bfloat16):
        found = BlockStatistics()(image)
    assert torch.equal(found, BlockStatistics()(image))


def test_a_compression_on_another_grid_does_not_show(photo: np.ndarray) -> None:
    moved = compressed(photo, 12)[3:, 5:][:120, :120]
    assert lattices(moved)[STEPS.index(12)] < 0.5


def test_statistics_belong_to_the_blocks_they_lie_in(photo: np.ndarray) -> None:
    changed = photo.copy()
    changed[40:48, 64:72] = 128
    before, after = (BlockStatistics()(normalised(pixels)) for pixels in (photo, changed))
    differs = (before != after).any(dim=1)[0]
    assert differs[5, 8]
    # Edges reach one pixel into the neighbours above and to the left.
    assert {tuple(place) for place in differs.nonzero().tolist()} <= {
        (row, column) for row in (4, 5) for column in (7, 8)
    }


def test_the_edges_of_the_grid_are_seen_where_they_are() -> None:
    ramp = np.add.outer(np.arange(128), 0.7 * np.arange(128)) * 1.3 % 256
    smooth = np.repeat(np.abs(ramp - 128)[..., None] * 2, 3, axis=2).clip(0, 255).astype(np.uint8)
    edges = BlockStatistics()(normalised(compressed(smooth, 60)))[0, -16:].mean(dim=(1, 2))
    assert edges[:8].argmax() == 7
    assert edges[8:].argmax() == 7


@torch.inference_mode()
def test_the_view_gives_features_for_each_block(photo: np.ndarray) -> None:
    torch.manual_seed(0)
    view = BlockView(width=16).eval()
    features = view(normalised(photo), torch.zeros(1, 1, 32, 32))
    assert features.shape == (1, 16, 16, 16)
    assert features.isfinite().all()
    assert not torch.equal(features, view(normalised(photo), torch.ones(1, 1, 32, 32)))


def test_lattices_are_cosines(photo: np.ndarray) -> None:
    found = BlockStatistics()(normalised(photo))[:, : 15 * len(STEPS)].unflatten(1, (15, len(STEPS)))
    pixels = torch.from_numpy(photo.astype(np.float64)) @ torch.tensor([0.299, 0.587, 0.114]).double()
    blocks = pixels.unfold(0, 8, 8).unfold(1, 8, 8)
    place = torch.arange(8).double()
    # The first AC coefficient in zigzag order is the mean over rows of the lowest cosine along columns.
    across = torch.cos((2 * place + 1) * torch.pi / 16) / 2
    coefficient = (blocks @ across).sum(dim=-1) / 8**0.5
    expected = torch.cos(2 * torch.pi * coefficient / torch.tensor(STEPS).view(-1, 1, 1))
    torch.testing.assert_close(found[0, 0].double(), expected, atol=1e-3, rtol=0)


def test_edges_are_means_of_the_mixed_difference(photo: np.ndarray) -> None:
    found = BlockStatistics()(normalised(photo))[0, -16:]
    grey = photo.astype(np.float64) @ [0.299, 0.587, 0.114]
    mixed = np.zeros(grey.shape)
    mixed[:-1, :-1] = np.abs(grey[:-1, :-1] - grey[:-1, 1:] - grey[1:, :-1] + grey[1:, 1:])
    blocks = np.log1p(mixed.clip(max=32)).reshape(16, 8, 16, 8)
    by_column, by_row = blocks.mean(axis=1).transpose(2, 0, 1), blocks.mean(axis=3).transpose(1, 0, 2)
    np.testing.assert_allclose(found, np.concatenate([by_column, by_row]), atol=1e-3)
