from __future__ import annotations

import numpy as np

from tamperscope.images.contours import filled, polygon


def test_a_polygon_encloses_exactly_the_mask() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:20, 10:50] = True
    assert (filled(polygon(mask), mask.shape) == mask).all()


def test_the_largest_of_several_regions_counts() -> None:
    mask = np.zeros((40, 60), bool)
    mask[1:4, 1:4] = mask[10:30, 10:30] = True
    assert min(polygon(mask)) == (10, 10)


def test_a_polygon_can_lie_in_a_larger_image() -> None:
    assert set(polygon(np.ones((3, 4), bool), (100, 50))) == {(100, 50), (103, 50), (100, 52), (103, 52)}


def test_an_empty_mask_has_no_polygon() -> None:
    assert polygon(np.zeros((5, 5), bool)) == ()
