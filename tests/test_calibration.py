from __future__ import annotations

import numpy as np
import pytest

from tamperscope import calibration


def test_the_peak_is_the_mean_of_the_highest_percent() -> None:
    heatmap = np.zeros((200, 100), np.float32)
    heatmap[:2] = 0.8
    assert calibration.peak(heatmap) == pytest.approx(0.8)
    heatmap[1] = 0.4
    assert calibration.peak(heatmap) == pytest.approx(0.6)


def test_one_pixel_does_not_decide_a_small_image() -> None:
    heatmap = np.zeros((32, 32), np.float32)
    heatmap[3, 3] = 1
    assert calibration.peak(heatmap) == pytest.approx(1 / 64)


def test_measurements_grow_with_the_evidence() -> None:
    faint, strong = np.full((50, 50), 0.2, np.float32), np.full((50, 50), 0.2, np.float32)
    strong[:20, :20] = 0.7
    low = calibration.measure(faint, {"clones": 0.0})
    high = calibration.measure(strong, {"clones": 0.3})
    assert low.keys() == high.keys() == {"network_map", "clones"}
    assert all(low[name] < high[name] for name in low)


def test_evidence_counts_more_once_it_is_notable() -> None:
    heatmap = np.zeros((40, 40), np.float32)
    below, notable = (
        calibration.measure(heatmap, {"clones": strength})["clones"] for strength in (0.49, 0.51)
    )
    assert notable - below > 1


def test_a_blank_heatmap_can_be_measured() -> None:
    assert np.isfinite(calibration.measure(np.zeros((40, 40), np.float32))["network_map"])
