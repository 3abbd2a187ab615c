from __future__ import annotations

import numpy as np
import pytest

from tamperscope import calibration
from tamperscope.calibration import Calibration, Expected
from tamperscope.report import OperatingPoints


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


def test_the_networks_own_score_is_measured_where_they_give_one() -> None:
    heatmap = np.zeros((40, 40), np.float32)
    assert calibration.measure(heatmap, network_score=0.5)["network_score"] == 0
    assert "network_score" not in calibration.measure(heatmap)


def test_a_measurement_counts_by_what_it_exceeds_on_files_of_the_kind() -> None:
    points = OperatingPoints(0.3, 0.7, 0.02, 0.1, 200, 300)
    expected = {"network_score": Expected((1.0, 0.5, 0.0), (0.0, 0.0, 0.0))}
    model = Calibration({"network_score": 1.0}, {"network_score": 0.0}, 0.0, points, expected)
    usual = {"network_map": 0.0, "network_score": 6.0, "log_pixels": 10.0, "log_step": 0.0}
    assert model.score(usual) == 0.5
    assert model.score({**usual, "network_score": 7.0}) > 0.7


def test_what_was_expected_of_the_map_alone_is_still_read() -> None:
    document = Calibration({}, {}, 0.0, OperatingPoints(0.3, 0.7, 0.02, 0.1, 200, 300)).to_json()
    document["expected"] = {"mean": [1, 2, 3], "log_spread": [4, 5, 6]}
    assert Calibration.from_json(document).expected == {"network_map": Expected((1, 2, 3), (4, 5, 6))}


def test_evidence_counts_more_once_it_is_notable() -> None:
    heatmap = np.zeros((40, 40), np.float32)
    below, notable = (
        calibration.measure(heatmap, {"clones": strength})["clones"] for strength in (0.49, 0.51)
    )
    assert notable - below > 1


def test_a_blank_heatmap_can_be_measured() -> None:
    assert np.isfinite(calibration.measure(np.zeros((40, 40), np.float32))["network_map"])
