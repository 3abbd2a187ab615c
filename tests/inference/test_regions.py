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


def test_regions_come_largest_first_with_box_polygon_and_probability(heatmap: np.ndarray) -> None:
    large, small = outline(heatmap, 0.5, smallest_region=10 / 4800).regions
    assert (large.box.x, large.box.y, large.box.width, large.box.height) == (20, 10, 30, 20)
    assert set(large.polygon) == {(20, 10), (49, 10), (49, 29), (20, 29)}
    assert large.area_share == pytest.approx(600 / 4800)
    assert large.probability == pytest.approx(0.8)
    assert small.probability == pytest.approx(0.9)


def test_what_is_too_small_leaves_the_mask_as_well(heatmap: np.ndarray) -> None:
    assert outline(heatmap, 0.5, 0.0).mask[50, 70]
    found = outline(heatmap, 0.5, smallest_region=10 / 4800)
    assert not found.mask[50, 70]
    assert found.mask.sum() == 620


def test_an_area_must_be_larger_the_less_certain_it_is(heatmap: np.ndarray) -> None:
    # 20 pixels of .9: 16 above a threshold of .5, where 20 of 1 would be 20.
    assert outline(heatmap, 0.5, smallest_region=15 / 4800).mask[42, 7]
    assert not outline(heatmap, 0.5, smallest_region=17 / 4800).mask[42, 7]


def test_what_suffices_in_a_small_picture_suffices_in_a_large_one() -> None:
    for side in (512, 1024):
        heatmap = np.zeros((side, side), np.float32)
        heatmap[100:140, 100:140] = 1
        assert outline(heatmap, 0.5, smallest_region=0.005).mask.sum() == 1600
        assert not outline(heatmap, 0.5, smallest_region=0.007).mask.any()


def test_what_is_certain_stays_however_small(heatmap: np.ndarray) -> None:
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
