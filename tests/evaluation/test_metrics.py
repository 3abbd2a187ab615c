import doctest

import numpy as np
import pytest
import sklearn.metrics

from tamperscope.evaluation import benchmark, metrics
from tamperscope.evaluation.metrics import Overlap, PixelHistogram

EXACT = 1e-6


@pytest.fixture(params=["continuous", "with ties", "saturated"])
def heatmap(request: pytest.FixtureRequest, rng: np.random.Generator) -> np.ndarray:
    values = rng.random((48, 64))
    if request.param == "with ties":
        values = np.round(values, 1)
    if request.param == "saturated":
        values = np.clip(values * 3 - 1, 0, 1)
    return values.astype(np.float32)


@pytest.fixture
def truth(heatmap: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return heatmap + rng.normal(0, 0.4, heatmap.shape) > 0.9


@pytest.mark.parametrize("module", [benchmark, metrics])
def test_the_examples_in_docstrings_are_correct(module) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_overlap_is_f1_and_jaccard_of_scikit_learn(heatmap: np.ndarray, truth: np.ndarray) -> None:
    mask = heatmap > 0.6
    found = metrics.overlap(mask, truth)
    assert found.f1 == pytest.approx(sklearn.metrics.f1_score(truth.ravel(), mask.ravel()), abs=EXACT)
    assert found.iou == pytest.approx(sklearn.metrics.jaccard_score(truth.ravel(), mask.ravel()), abs=EXACT)


def test_average_precision_and_best_f1_are_those_of_scikit_learn(
    heatmap: np.ndarray, truth: np.ndarray
) -> None:
    found = metrics.precision_recall(heatmap, truth)
    expected = sklearn.metrics.average_precision_score(truth.ravel(), heatmap.ravel())
    precision, recall, _ = sklearn.metrics.precision_recall_curve(truth.ravel(), heatmap.ravel())
    assert found.average_precision == pytest.approx(expected, abs=EXACT)
    assert found.best_f1 == pytest.approx(np.max(2 * precision * recall / (precision + recall)), abs=EXACT)


def test_image_metrics_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    for _ in range(20):
        scores, forged = rng.integers(0, 30, 80) / 30, rng.random(80) < 0.4
        flagged = scores > 0.5
        assert metrics.roc_auc(scores, forged) == pytest.approx(
            sklearn.metrics.roc_auc_score(forged, scores), abs=EXACT
        )
        assert metrics.balanced_accuracy(flagged, forged) == pytest.approx(
            sklearn.metrics.balanced_accuracy_score(forged, flagged), abs=EXACT
        )


def test_pooled_metrics_of_many_images_are_those_of_all_their_pixels(rng: np.random.Generator) -> None:
    # A histogram represents these values exactly, so only the counting is tested.
    heatmaps = rng.integers(0, 200, (5, 32, 32)).astype(np.float32) / 256
    truths = heatmaps + rng.normal(0, 0.4, heatmaps.shape) > 0.8
    truths[4] = False
    pooled = PixelHistogram()
    for heatmap, truth in zip(heatmaps, truths, strict=True):
        pooled += PixelHistogram.decode(PixelHistogram.of(heatmap, truth).encode())
    labels, scores = truths.ravel(), heatmaps.ravel()
    exact = metrics.precision_recall(heatmaps, truths)
    assert pooled.roc_auc == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores), abs=EXACT)
    assert pooled.precision_recall.average_precision == pytest.approx(
        sklearn.metrics.average_precision_score(labels, scores), abs=EXACT
    )
    assert pooled.precision_recall.best_f1 == pytest.approx(exact.best_f1, abs=EXACT)


def test_pooled_metrics_are_close_to_exact_on_any_map(heatmap: np.ndarray, truth: np.ndarray) -> None:
    pooled = PixelHistogram.of(heatmap, truth)
    assert pooled.roc_auc == pytest.approx(
        sklearn.metrics.roc_auc_score(truth.ravel(), heatmap.ravel()), abs=1e-4
    )


def test_overlap_of_nothing_is_nan() -> None:
    assert np.isnan(Overlap(0, 0, 0).f1)
    assert np.isnan(Overlap(0, 0, 0).iou)


@pytest.mark.parametrize("metric", [metrics.overlap, metrics.precision_recall])
def test_pixel_metrics_refuse_authentic_images(metric) -> None:
    with pytest.raises(ValueError, match="forged images only"):
        metric(np.ones((4, 4), bool), np.zeros((4, 4), bool))


@pytest.mark.parametrize("metric", [metrics.roc_auc, metrics.balanced_accuracy, metrics.true_positive_rate])
def test_metrics_of_two_classes_are_nan_without_one_of_them(metric) -> None:
    assert np.isnan(metric([0.1, 0.9], [True, True]))


def test_true_positive_rate_allows_the_stated_false_alarms() -> None:
    authentic, forged = np.arange(100) / 100, np.array([0.5, 0.945, 0.955, 0.99])
    scores, labels = np.concatenate([authentic, forged]), np.arange(104) >= 100
    assert metrics.true_positive_rate(scores, labels, 0.05) == 0.75


def test_calibration_error_of_a_score_that_is_always_ten_points_high() -> None:
    scores = np.repeat([0.35, 0.85], 100)
    forged = np.concatenate([np.arange(100) < 25, np.arange(100) < 75])
    assert metrics.expected_calibration_error(scores, forged) == pytest.approx(0.10)
