from __future__ import annotations

import numpy as np

from reports import evidence
from tamperscope.evidence.agreement import agreement, marks_of
from tamperscope.report import Box, Region

SHAPE = (60, 80)
BOX = Box(10, 20, 20, 10)
CORNERS = ((10, 20), (29, 20), (29, 29), (10, 29))
REGION = Region(BOX, CORNERS, 200 / 4800, 0.9)


def marking(rows: slice, columns: slice, value: float = 0.9) -> np.ndarray:
    values = np.zeros(SHAPE, np.float32)
    values[rows, columns] = value
    return values


def agreed(**items: tuple[float | None, np.ndarray | None]) -> dict[str, bool]:
    found = {name: evidence(name, strength, map=map) for name, (strength, map) in items.items()}
    verdicts = agreement(REGION, marks_of(found, np.zeros(SHAPE, bool)))
    assert not verdicts.pop("network_map")
    return verdicts


def test_a_notable_map_agrees_where_it_marks_most_of_the_region():
    whole, half = slice(20, 30), slice(20, 24)

    assert agreed(
        noise=(0.7, marking(whole, slice(10, 30))),
        resampling=(0.7, marking(half, slice(10, 30))),
        jpeg_ghosts=(0.7, marking(whole, slice(50, 70))),
    ) == {"noise": True, "resampling": False, "jpeg_ghosts": False}


def test_a_map_that_is_not_notable_or_marks_everything_singles_out_nothing():
    assert agreed(
        noise=(0.3, marking(slice(20, 30), slice(10, 30))),
        jpeg_grid=(0.9, marking(slice(None), slice(None))),
    ) == {"noise": False, "jpeg_grid": False}


def test_what_has_no_map_or_never_judges_has_no_say():
    everywhere = marking(slice(20, 30), slice(10, 30))

    assert agreed(metadata=(0.9, None), double_jpeg=(None, None), error_level=(0.9, everywhere)) == {}


def test_the_networks_have_their_say():
    network = marking(slice(20, 30), slice(10, 30)) > 0

    assert agreement(REGION, marks_of({}, network)) == {"network_map": True}
