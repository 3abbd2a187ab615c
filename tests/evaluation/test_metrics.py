import numpy as np
import pytest

from tamperscope.evaluation import metrics


def test_overlap_of_a_half_right_mask() -> None:
    truth = np.zeros((4, 4), bool)
    truth[:2] = True
    mask = np.zeros((4, 4), bool)
    mask[1:3] = True
    assert metrics.overlap(mask, truth) == (pytest.approx(0.5), pytest.approx(1 / 3))


def test_overlap_refuses_authentic_images() -> None:
    with pytest.raises(ValueError, match="forged images only"):
        metrics.overlap(np.ones((4, 4), bool), np.zeros((4, 4), bool))


def test_best_f1_is_the_best_over_all_thresholds() -> None:
    rng = np.random.default_rng(0)
    heatmap = rng.random((32, 32)).astype(np.float32)
    truth = heatmap + rng.normal(0, 0.3, heatmap.shape) > 0.8
    by_hand = max(metrics.overlap(np.floor(heatmap * 255) >= level, truth).f1 for level in range(256))
    assert metrics.best_f1(heatmap, truth) == pytest.approx(by_hand, abs=1e-12)


def test_auc_counts_pairs_and_halves_ties() -> None:
    rng = np.random.default_rng(0)
    scores, forged = rng.integers(0, 10, 60) / 10, rng.random(60) < 0.4
    pairs = [(high > low) + 0.5 * (high == low) for high in scores[forged] for low in scores[~forged]]
    assert metrics.roc_auc(scores, forged) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_auc_without_one_of_the_classes_is_not_a_number() -> None:
    assert np.isnan(metrics.roc_auc([0.1, 0.9], [True, True]))


def test_true_positive_rate_allows_the_stated_false_alarms() -> None:
    authentic, forged = np.arange(100) / 100, np.array([0.5, 0.945, 0.955, 0.99])
    scores, labels = np.concatenate([authentic, forged]), np.arange(104) >= 100
    assert metrics.true_positive_rate(scores, labels, 0.05) == 0.75


def test_calibration_error_of_a_score_that_is_always_ten_points_high() -> None:
    scores = np.repeat([0.35, 0.85], 100)
    forged = np.concatenate([np.arange(100) < 25, np.arange(100) < 75])
    assert metrics.expected_calibration_error(scores, forged) == pytest.approx(0.10)
