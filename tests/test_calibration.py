from __future__ import annotations

import json

import numpy as np
import pytest

from tamperscope import calibration
from tamperscope.calibration import Calibration
from tamperscope.report import Verdict


def images(
    rng: np.random.Generator, separation: float, count: int = 400
) -> tuple[list[dict[str, float]], list[bool]]:
    """Two measurements, of which the first tells manipulated images apart and the second is noise."""
    manipulated = [index % 2 == 1 for index in range(count)]
    return [
        {"clones": separation * truth + rng.normal(), "area": rng.normal()} for truth in manipulated
    ], manipulated


def test_few_authentic_images_are_called_manipulated(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2)
    model = calibration.fit(rows, truth, false_alarm_rate=0.02, miss_rate=0.1)
    verdicts = [model.verdict(model.score(row)) for row in rows]
    alarms = sum(v is Verdict.MANIPULATED for v, forged in zip(verdicts, truth, strict=True) if not forged)
    misses = sum(v is Verdict.AUTHENTIC for v, forged in zip(verdicts, truth, strict=True) if forged)
    assert 0 < alarms <= 0.02 * 200
    assert 0 < misses <= 0.1 * 200
    assert Verdict.INCONCLUSIVE in verdicts


def test_scores_are_probabilities(rng: np.random.Generator) -> None:
    """Two normal distributions two apart have the logit 2 x - 2; the fit must find it from samples."""
    rows, truth = images(rng, separation=2, count=4000)
    model = calibration.fit(rows, truth)
    # Standard errors at 4000 images are about 0.07.
    assert model.coefficients["clones"] == pytest.approx(2, abs=0.25)
    assert model.coefficients.get("area", 0) == pytest.approx(0, abs=0.25)
    assert model.intercept == pytest.approx(-2, abs=0.25)


def test_a_score_does_not_depend_on_how_many_images_of_each_kind_there_were(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2, count=4000)
    few_authentic = [row for row, forged in zip(rows, truth, strict=True) if forged or row["area"] > 0.5]
    labels = [forged for row, forged in zip(rows, truth, strict=True) if forged or row["area"] > 0.5]
    balanced = calibration.fit([{"clones": row["clones"]} for row in rows], truth)
    skewed = calibration.fit([{"clones": row["clones"]} for row in few_authentic], labels)
    assert skewed.score({"clones": 1.0}) == pytest.approx(balanced.score({"clones": 1.0}), abs=0.06)


def test_when_both_promises_can_be_kept_nothing_is_inconclusive(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=9)
    model = calibration.fit(rows, truth)
    assert model.authentic_below == model.manipulated_above
    assert {model.verdict(model.score(row)) for row in rows} == {Verdict.MANIPULATED, Verdict.AUTHENTIC}


def test_more_of_a_trace_never_lowers_the_score(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2)
    model = calibration.fit([{**row, "ghosts": -row["clones"] + rng.normal()} for row in rows], truth)
    assert "clones" in model.coefficients
    assert "ghosts" not in model.coefficients
    assert min(model.coefficients.values()) >= 0


def test_a_constant_measurement_is_harmless(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2)
    model = calibration.fit([{**row, "constant": 3.0} for row in rows], truth)
    assert np.isfinite(list(model.coefficients.values())).all()


def test_fitting_needs_images_of_both_kinds() -> None:
    with pytest.raises(ValueError, match="both classes"):
        calibration.fit([{"area": 1.0}, {"area": 2.0}], [True, True])


def test_fitting_needs_the_same_measurements_everywhere() -> None:
    with pytest.raises(ValueError, match="same measurements"):
        calibration.fit([{"area": 1.0}, {"clones": 2.0}], [True, False])


def test_a_calibration_survives_json(rng: np.random.Generator) -> None:
    model = calibration.fit(*images(rng, separation=2))
    assert Calibration.from_json(json.loads(json.dumps(model.to_json()))) == model


def test_crossed_operating_points_are_refused() -> None:
    with pytest.raises(ValueError, match="operating points"):
        Calibration({}, {}, 0.0, 0.8, 0.2, 0.02, 0.1, 10, 10)


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


def test_networks_count_half_and_traces_make_up_for_it(rng: np.random.Generator) -> None:
    manipulated = rng.random(4000) < 0.5
    network = rng.normal(2.0 * manipulated, 1.0)
    trace = rng.normal(1.0 * manipulated, 1.0)
    # The best weight of a normal variable is its classes' distance over its variance.
    rows = [{"network_map": a, "clones": b} for a, b in zip(network, trace, strict=True)]
    found = calibration.fit(rows, manipulated.tolist())
    # Taken at their word, the network would count twice as much as the trace.
    assert 0.75 < found.coefficients["network_map"] / found.coefficients["clones"] < 1.25
    scores = np.array([found.score(row) for row in rows])
    assert scores.mean() == pytest.approx(0.5, abs=0.03)


def test_halving_the_belief_in_networks_does_not_make_scores_timid(rng: np.random.Generator) -> None:
    truth = [index % 2 == 1 for index in range(2000)]
    rows = [{"network_map": 3 * forged + rng.normal(), "clones": forged + rng.normal()} for forged in truth]
    model = calibration.fit(rows, truth)
    scores = np.array([model.score(row) for row in rows])
    for low, high in ((0.1, 0.3), (0.7, 0.9)):
        within = (scores > low) & (scores < high)
        assert np.mean(truth, where=within) == pytest.approx(scores[within].mean(), abs=0.08)


def test_a_blank_heatmap_can_be_measured() -> None:
    assert np.isfinite(calibration.measure(np.zeros((40, 40), np.float32))["network_map"])
