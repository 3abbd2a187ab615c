import numpy as np
import pytest

from tamperscope.inference.regions import MOST_REGIONS, outline


@pytest.fixture
def heatmap() -> np.ndarray:
    heatmap = np.full((60, 80), 0.1, np.float32)
    heatmap[10:30, 20:50] = 0.8
    heatmap[40:44, 5:10] = 0.9
    heatmap[50, 70] = 0.99
    return heatmap


def test_regions_are_sorted_by_size_and_have_box_polygon_and_probability(heatmap: np.ndarray) -> None:
    large, small = outline(heatmap, 0.5, smallest_region=10 / 4800).regions
    assert (large.box.x, large.box.y, large.box.width, large.box.height) == (20, 10, 30, 20)
    assert set(large.polygon) == {(20, 10), (49, 10), (49, 29), (20, 29)}
    assert large.area_share == pytest.approx(600 / 4800)
    assert large.probability == pytest.approx(0.8)
    assert small.probability == pytest.approx(0.9)


def test_regions_that_are_too_small_are_removed_from_the_mask(heatmap: np.ndarray) -> None:
    assert outline(heatmap, 0.5, 0.0).mask[50, 70]
    found = outline(heatmap, 0.5, smallest_region=10 / 4800)
    assert not found.mask[50, 70]
    assert found.mask.sum() == 620


def test_a_less_certain_region_must_be_larger(heatmap: np.ndarray) -> None:
    # Above a threshold of 0.5, 20 pixels of 0.9 weigh as much as 16 pixels of 1.
    assert outline(heatmap, 0.5, smallest_region=15 / 4800).mask[42, 7]
    assert not outline(heatmap, 0.5, smallest_region=17 / 4800).mask[42, 7]


def test_the_size_that_suffices_in_a_small_image_suffices_in_a_large_one() -> None:
    for side in (512, 1024):
        heatmap = np.zeros((side, side), np.float32)
        heatmap[100:140, 100:140] = 1
        assert outline(heatmap, 0.5, smallest_region=0.005).mask.sum() == 1600
        assert not outline(heatmap, 0.5, smallest_region=0.007).mask.any()


def test_certain_regions_stay_whatever_their_size(heatmap: np.ndarray) -> None:
    certain = np.zeros(heatmap.shape, bool)
    certain[50, 70] = certain[0, 0] = True
    found = outline(heatmap, 0.5, smallest_region=100 / 4800, certain=certain)
    assert found.mask[50, 70]
    assert not found.mask[42, 7]
    assert found.mask.sum() == 601


def test_an_empty_map_has_no_regions() -> None:
    found = outline(np.zeros((40, 40), np.float32), 0.5, 0.0)
    assert found.regions == ()
    assert not found.mask.any()


def test_a_shattered_mask_is_counted_but_not_listed_whole() -> None:
    heatmap = np.zeros((60, 60), np.float32)
    heatmap[::3, ::3] = 1
    found = outline(heatmap, 0.5, 0.0)
    assert found.region_count == 400
    assert len(found.regions) == MOST_REGIONS
