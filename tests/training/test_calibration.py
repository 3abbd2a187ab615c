from __future__ import annotations

import json

import numpy as np
import pytest

from tamperscope.calibration import Calibration
from tamperscope.images.kind import FileKind
from tamperscope.report import Verdict
from tamperscope.training.calibration import fit


def images(
    rng: np.random.Generator, separation: float, count: int = 400
) -> tuple[list[dict[str, float]], list[bool]]:
    """Return images with two measurements: the first separates manipulated images, the second is noise."""
    manipulated = [index % 2 == 1 for index in range(count)]
    return [
        {"clones": separation * truth + rng.normal(), "area": rng.normal()} for truth in manipulated
    ], manipulated


def test_few_authentic_images_are_called_manipulated(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2)
    model = fit(rows, truth, false_alarm_rate=0.02, miss_rate=0.1)
    verdicts = [model.verdict(model.score(row)) for row in rows]
    alarms = sum(v is Verdict.MANIPULATED for v, forged in zip(verdicts, truth, strict=True) if not forged)
    misses = sum(v is Verdict.AUTHENTIC for v, forged in zip(verdicts, truth, strict=True) if forged)
    assert 0 < alarms <= 0.02 * 200
    assert 0 < misses <= 0.1 * 200
    assert Verdict.INCONCLUSIVE in verdicts


def test_scores_are_probabilities(rng: np.random.Generator) -> None:
    """Two normal distributions with a distance of 2 have the logit 2 x - 2. The fit must recover it."""
    rows, truth = images(rng, separation=2, count=4000)
    model = fit(rows, truth)
    # Standard errors at 4000 images are about 0.07.
    assert model.coefficients["clones"] == pytest.approx(2, abs=0.25)
    assert model.coefficients.get("area", 0) == pytest.approx(0, abs=0.25)
    assert model.intercept == pytest.approx(-2, abs=0.25)


def test_a_score_does_not_depend_on_the_class_balance(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2, count=4000)
    few_authentic = [row for row, forged in zip(rows, truth, strict=True) if forged or row["area"] > 0.5]
    labels = [forged for row, forged in zip(rows, truth, strict=True) if forged or row["area"] > 0.5]
    balanced = fit([{"clones": row["clones"]} for row in rows], truth)
    skewed = fit([{"clones": row["clones"]} for row in few_authentic], labels)
    assert skewed.score({"clones": 1.0}) == pytest.approx(balanced.score({"clones": 1.0}), abs=0.06)


def test_when_both_rates_can_be_met_nothing_is_inconclusive(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=9)
    model = fit(rows, truth)
    assert model.operating_points.authentic_below == model.operating_points.manipulated_above
    assert {model.verdict(model.score(row)) for row in rows} == {Verdict.MANIPULATED, Verdict.AUTHENTIC}


def test_a_stronger_trace_never_lowers_the_score(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2)
    model = fit([{**row, "ghosts": -row["clones"] + rng.normal()} for row in rows], truth)
    assert "clones" in model.coefficients
    assert "ghosts" not in model.coefficients
    assert min(model.coefficients.values()) >= 0


def test_a_constant_measurement_is_harmless(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2)
    model = fit([{**row, "constant": 3.0} for row in rows], truth)
    assert np.isfinite(list(model.coefficients.values())).all()


def test_fitting_needs_images_of_both_classes() -> None:
    with pytest.raises(ValueError, match="both classes"):
        fit([{"area": 1.0}, {"area": 2.0}], [True, True])


def test_fitting_needs_the_same_measurements_everywhere() -> None:
    with pytest.raises(ValueError, match="same measurements"):
        fit([{"area": 1.0}, {"clones": 2.0}], [True, False])


def test_a_calibration_survives_json(rng: np.random.Generator) -> None:
    model = fit(*images(rng, separation=2))
    assert Calibration.from_json(json.loads(json.dumps(model.to_json()))) == model


def test_the_network_coefficient_is_halved_and_the_traces_compensate(rng: np.random.Generator) -> None:
    manipulated = rng.random(4000) < 0.5
    network = rng.normal(2.0 * manipulated, 1.0)
    trace = rng.normal(1.0 * manipulated, 1.0)
    # The optimal coefficient of a normal variable is the distance between its class means over its variance.
    rows = [{"network_map": a, "clones": b} for a, b in zip(network, trace, strict=True)]
    found = fit(rows, manipulated.tolist())
    # Without the reduction, the network would count twice as much as the trace.
    assert 0.75 < found.coefficients["network_map"] / found.coefficients["clones"] < 1.25
    scores = np.array([found.score(row) for row in rows])
    assert scores.mean() == pytest.approx(0.5, abs=0.03)


def test_halving_the_network_coefficient_does_not_flatten_the_scores(rng: np.random.Generator) -> None:
    truth = [index % 2 == 1 for index in range(2000)]
    rows = [{"network_map": 3 * forged + rng.normal(), "clones": forged + rng.normal()} for forged in truth]
    model = fit(rows, truth)
    scores = np.array([model.score(row) for row in rows])
    for low, high in ((0.1, 0.3), (0.7, 0.9)):
        within = (scores > low) & (scores < high)
        assert np.mean(truth, where=within) == pytest.approx(scores[within].mean(), abs=0.08)


@pytest.mark.parametrize("measured", ["network_map", "network_score"])
def test_the_network_counts_by_what_it_exceeds_on_authentic_files_of_the_kind(
    rng: np.random.Generator, measured: str
) -> None:
    # The network sees more in lossless files (a step of 1) whether they are forged or not.
    truth = [index % 2 == 1 for index in range(2000)]
    rows = []
    for forged in truth:
        log_pixels, log_step = rng.uniform(11, 14), rng.choice([0.0, 3.0])
        network = 2 * forged + 3 * (log_step == 0) + rng.normal() * (1 + (log_step == 0))
        rows.append({measured: network, "log_pixels": log_pixels, "log_step": log_step})
    model = fit(rows, truth, false_alarm_rate=0.05)
    assert model.coefficients.keys() == model.expected.keys() == {measured}
    above = model.operating_points.manipulated_above
    for step in (0.0, 3.0):
        scores = [
            model.score(row)
            for row, forged in zip(rows, truth, strict=True)
            if not forged and row["log_step"] == step
        ]
        assert np.mean(np.array(scores) > above) == pytest.approx(0.05, abs=0.02)


def test_marks_are_allowed_on_few_authentic_images(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2)
    points = fit(rows, truth, false_alarm_rate=0.02, marked_rate=0.1).operating_points
    assert points.marked_above < points.manipulated_above
    model = fit(rows, truth, false_alarm_rate=0.02, marked_rate=0.1)
    scores = [model.score(row) for row, forged in zip(rows, truth, strict=True) if not forged]
    assert 0.08 <= np.mean(np.array(scores) > points.marked_above) <= 0.1


def test_wrong_verdicts_are_counted_by_kind(rng: np.random.Generator) -> None:
    rows, truth = images(rng, separation=2)
    small, large = FileKind(100_000, "PNG", 1.0), FileKind(1_000_000, "JPEG", 5.0)
    kinds = [small if index < 300 else large for index in range(len(rows))]
    model = fit(rows, truth, kinds, false_alarm_rate=0.05)
    assert sum(counts.false_alarms for counts in model.kinds) == 10
    rates = model.error_rates(small)
    assert rates is not None
    assert (rates.files, rates.authentic_images) == ("lossless files below 0.15 megapixels", 150)
    everything = model.error_rates(FileKind(5_000_000, "HEIF", 1.0))
    assert everything is not None
    assert (everything.files, everything.false_alarms) == ("files of all kinds", 10)
    assert Calibration.from_json(json.loads(json.dumps(model.to_json()))) == model


def test_corrections_teach_the_score_and_leave_the_operating_points_to_the_sample(
    rng: np.random.Generator,
) -> None:
    """Authentic images with strong clones, all of them false alarms, make clones count less."""
    rows, truth = images(rng, separation=2)
    alarms = [{"clones": 3.0, "area": 0.0}] * 100
    plain = fit(rows, truth)
    taught = fit(rows + alarms, truth + [False] * 100, corrections=[False] * len(rows) + [True] * len(alarms))

    assert taught.coefficients["clones"] < plain.coefficients["clones"]
    points = taught.operating_points
    assert (points.authentic_images, points.manipulated_images) == (200, 200)
    called = sum(taught.verdict(taught.score(row)) is Verdict.MANIPULATED for row in rows)
    # As a sample of authentic images they would have moved the limit above every score.
    assert called > 50
    as_sample = fit(rows + alarms, truth + [False] * 100)
    assert as_sample.operating_points.manipulated_above > points.manipulated_above


def test_corrections_alone_are_no_sample() -> None:
    with pytest.raises(ValueError, match="both classes"):
        fit([{"clones": 1.0}, {"clones": 2.0}], [True, False], corrections=[False, True])
