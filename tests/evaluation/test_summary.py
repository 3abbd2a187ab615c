from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from tamperscope.datasets import Sample
from tamperscope.evaluation.measurement import Case, Measurement
from tamperscope.evaluation.metrics import Overlap, PixelHistogram, overlap, precision_recall
from tamperscope.evaluation.summary import compare, summarise
from tamperscope.report import ManipulationType, Verdict

SIDE = 16


@pytest.fixture
def maps(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Twelve heatmaps in levels of 1/256, and their ground truths. The last four images are authentic."""
    heatmaps = rng.integers(0, 250, (12, SIDE, SIDE)).astype(np.float32) / 256
    truths = heatmaps + rng.normal(0, 0.4, heatmaps.shape) > 0.8
    truths[8:] = False
    return heatmaps, truths


@pytest.fixture
def measurements(maps: tuple[np.ndarray, np.ndarray]) -> list[Measurement]:
    verdicts = [Verdict.MANIPULATED, Verdict.INCONCLUSIVE, Verdict.AUTHENTIC] * 4
    return [
        measurement(heatmap, truth, score=(number * 7 % 12) / 12, verdict=verdict)
        for number, (heatmap, truth, verdict) in enumerate(zip(*maps, verdicts, strict=True))
    ]


def measurement(
    heatmap: np.ndarray,
    truth: np.ndarray,
    *,
    score: float = 0.5,
    verdict: Verdict = Verdict.INCONCLUSIVE,
    set: str = "set",
    kind: str = "",
    corruption: str = "",
    type: ManipulationType | None = None,
) -> Measurement:
    """Return a measurement whose mask is the heatmap cut at 0.5."""
    forged, mask = bool(truth.any()), heatmap >= 0.5
    curve = precision_recall(heatmap, truth) if forged else None
    return Measurement(
        set=set,
        corruption=corruption,
        forged=forged,
        type=type,
        found_type=ManipulationType.FACE,
        score=score,
        verdict=verdict,
        pixels=truth.size,
        kind=kind,
        format_band="lossless files",
        size_band="below 0.15 megapixels",
        history="metadata of a camera",
        overlap=overlap(mask, truth) if forged else Overlap(0, int(mask.sum()), 0),
        shown=overlap(mask, truth) if forged else Overlap(0, int(mask.sum()), 0),
        best_f1=curve.best_f1 if curve else None,
        average_precision=curve.average_precision if curve else None,
        histogram=PixelHistogram.of(heatmap, truth).encode(),
    )


def values(measurements: list[Measurement]) -> dict[str, float]:
    (summary,) = summarise(measurements, resamples=10)
    return {name: estimate.value for name, estimate in summary.estimates.items()}


def test_pixel_metrics_of_forged_images_are_means_over_images(measurements, maps) -> None:
    heatmaps, truths = (part[:8].reshape(8, -1) for part in maps)
    found = values(measurements)
    each = list(zip(truths, heatmaps, strict=True))
    assert found["f1"] == pytest.approx(np.mean([sklearn.metrics.f1_score(t, h >= 0.5) for t, h in each]))
    assert found["iou"] == pytest.approx(
        np.mean([sklearn.metrics.jaccard_score(t, h >= 0.5) for t, h in each])
    )
    assert found["average_precision"] == pytest.approx(
        np.mean([sklearn.metrics.average_precision_score(t, h) for t, h in each])
    )
    assert found["everything_f1"] == pytest.approx(
        np.mean([sklearn.metrics.f1_score(t, np.ones_like(t)) for t, _ in each])
    )


def test_the_single_best_threshold_maximises_the_mean(measurements, maps) -> None:
    heatmaps, truths = (part[:8].reshape(8, -1) for part in maps)
    by_hand = {
        level / 256: np.mean([overlap(h >= level / 256, t).f1 for t, h in zip(truths, heatmaps, strict=True)])
        for level in range(256)
    }
    found = values(measurements)
    assert found["fixed_f1"] == pytest.approx(max(by_hand.values()))
    assert found["f1"] <= found["fixed_f1"] <= found["best_f1"]
    # All thresholds between two adjacent levels give the same mask.
    assert by_hand[np.ceil(found["fixed_threshold"] * 256) / 256] == pytest.approx(found["fixed_f1"])


def test_pooled_metrics_include_the_pixels_of_authentic_images(measurements, maps) -> None:
    heatmaps, truths = (part.ravel() for part in maps)
    found = values(measurements)
    assert found["pooled_f1"] == pytest.approx(sklearn.metrics.f1_score(truths, heatmaps >= 0.5))
    assert found["pooled_iou"] == pytest.approx(sklearn.metrics.jaccard_score(truths, heatmaps >= 0.5))
    assert found["pooled_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(truths, heatmaps))
    assert found["pooled_ap"] == pytest.approx(sklearn.metrics.average_precision_score(truths, heatmaps))


def test_image_metrics_count_verdicts(measurements) -> None:
    found = values(measurements)
    assert found["tpr"] == 3 / 8
    assert found["fpr"] == 1 / 4
    assert found["balanced_accuracy"] == (3 / 8 + 3 / 4) / 2
    assert found["inconclusive"] == 4 / 12
    assert found["marked_authentic"] == 1


def test_metrics_are_nan_when_a_set_lacks_the_images_for_them(measurements) -> None:
    authentic, forged = values(measurements[8:]), values(measurements[:8])
    assert {name for name, value in authentic.items() if not np.isnan(value)} == {
        "fpr", "marked_authentic", "inconclusive",
    }  # fmt: skip
    assert {name for name, value in forged.items() if np.isnan(value)} == {
        "auc", "balanced_accuracy", "tpr_at_5_fpr", "fpr", "marked_authentic", "calibration_error",
    }  # fmt: skip


def test_intervals_contain_the_value_are_reproducible_and_shrink_with_more_images(measurements) -> None:
    (few,), (again,), (many,) = (
        summarise(images, resamples=200) for images in (measurements, measurements, measurements * 16)
    )
    for name in ("f1", "iou", "average_precision", "auc", "pooled_f1"):
        narrow, wide = many.estimates[name], few.estimates[name]
        assert wide == again.estimates[name]
        assert wide.low < wide.value < wide.high
        # Sixteen times as many images give a quarter of the width.
        assert (narrow.high - narrow.low) / (wide.high - wide.low) == pytest.approx(1 / 4, rel=0.35)


def test_several_sets_are_summarised_separately_and_together(maps) -> None:
    heatmaps, truths = maps
    images = [
        measurement(heatmap, truth, set="odd" if number % 2 else "even")
        for number, (heatmap, truth) in enumerate(zip(heatmaps, truths, strict=True))
    ]
    even, odd, together = summarise(images, resamples=2)
    assert [summary.set for summary in (even, odd, together)] == ["even", "odd", "all"]
    assert together.estimates["f1"].value == pytest.approx(
        (even.estimates["f1"].value + odd.estimates["f1"].value) / 2
    )


def test_types_are_counted_where_they_are_known(maps) -> None:
    heatmaps, truths = maps
    types = [ManipulationType.FACE, ManipulationType.FACE, ManipulationType.COPYMOVE, None]
    images = [
        measurement(heatmap, truth, type=kind)
        for heatmap, truth, kind in zip(heatmaps, truths, types, strict=False)
    ]
    (summary,) = summarise(images, resamples=2)
    assert summary.types is not None
    assert summary.types.counts[ManipulationType.FACE.id] == (0, 0, 0, 2)
    assert summary.types.counts[ManipulationType.COPYMOVE.id] == (0, 0, 0, 1)
    assert summary.types.recall[ManipulationType.FACE.id] == 1
    assert summary.types.recall[ManipulationType.COPYMOVE.id] == 0
    assert np.isnan(summary.types.recall[ManipulationType.SPLICING.id])
    (unknown,) = summarise(images[3:], resamples=2)
    assert unknown.types is None


def case(name: str, marked: np.ndarray, truth: np.ndarray, score: float, corruption: str = "") -> Case:
    found = measurement(marked.astype(np.float32), truth, score=score, corruption=corruption)
    return Sample("set", Path(name), None), found


TRUTH = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) < 4 * SIDE
HALF = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) < 2 * SIDE
NOTHING = np.zeros_like(TRUTH)


def test_robustness_is_relative_to_the_same_images_uncorrupted() -> None:
    clean, worse = compare(
        [
            case("forged", TRUTH, TRUTH, 0.9),
            case("authentic", NOTHING, NOTHING, 0.1),
            case("unswept", NOTHING, TRUTH, 0.5),
        ],
        [
            case("forged", HALF, TRUTH, 0.5, "blur"),
            case("authentic", NOTHING, NOTHING, 0.5, "blur"),
        ],
    )
    assert (clean.corruption, clean.forged, clean.authentic, clean.f1, clean.auc) == ("none", 1, 1, 1, 1)
    assert (clean.f1_change, clean.auc_change) == (0, 0)
    assert worse.f1 == pytest.approx(2 / 3)
    assert worse.f1_change == pytest.approx(-1 / 3)
    assert (worse.auc, worse.auc_change) == (0.5, -0.5)


def test_an_image_that_a_corruption_made_unusable_is_not_compared() -> None:
    cases = [case("large", TRUTH, TRUTH, 0.9), case("small", NOTHING, TRUTH, 0.5)]
    clean, blurred, scaled = compare(
        cases,
        [
            case("large", TRUTH, TRUTH, 0.9, "blur"),
            case("small", NOTHING, TRUTH, 0.5, "blur"),
            case("large", TRUTH, TRUTH, 0.9, "resize"),
        ],
    )
    assert (clean.forged, blurred.forged, scaled.forged) == (2, 2, 1)
    assert (clean.f1, scaled.f1) == (0.5, 1)
    assert (blurred.f1_change, scaled.f1_change) == (0, 0)


def test_a_change_from_nothing_is_not_a_number() -> None:
    _, blurred = compare([case("a", NOTHING, TRUTH, 0.5)], [case("a", TRUTH, TRUTH, 0.5, "blur")])
    assert blurred.f1 == 1
    assert np.isnan(blurred.f1_change)
