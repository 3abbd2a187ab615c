"""Compute the metrics of a set from the measurements of its images, with conventions and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tamperscope.datasets import Sample
from tamperscope.evaluation import metrics
from tamperscope.evaluation.measurement import Case, Measurement
from tamperscope.evaluation.metrics import BINS, Overlap, PixelHistogram
from tamperscope.report import ManipulationType, Verdict

RESAMPLES = 1000
SEED = 0

_Rows = NDArray[np.void]
_FORGED = ("f1", "shown_f1", "iou", "best_f1", "average_precision", "everything_f1")
_BOTH = ("score", "manipulated", "inconclusive", "area_share", "hits", "marked", "truth")


@dataclass(frozen=True, eq=False)
class Images:
    """The measurements of a set in columns."""

    forged: _Rows
    """(forged images,) structured array of float64."""
    authentic: _Rows
    """(authentic images,) structured array of float64."""
    pixels: PixelHistogram
    """The pixels of all images."""
    fixed_f1: NDArray[np.float64]
    """(BINS,), 0 to 1: mean F1 of the forged images when all are cut at the lower edge of a bin."""

    @classmethod
    def of(cls, measurements: Iterable[Measurement]) -> Self:
        """Return the columns of `measurements`."""
        rows: dict[bool, list[tuple[float, ...]]] = {True: [], False: []}
        pixels, f1 = PixelHistogram(), np.zeros(BINS)
        for measurement in measurements:
            histogram = PixelHistogram.decode(measurement.histogram)
            pixels += histogram
            if measurement.forged:
                f1 += histogram.precision_recall.f1[::-1]
            rows[measurement.forged].append(_row(measurement))
        return cls(
            forged=np.array(rows[True], [(name, float) for name in (*_BOTH, *_FORGED)]),
            authentic=np.array(rows[False], [(name, float) for name in _BOTH]),
            pixels=pixels,
            fixed_f1=f1 / len(rows[True]) if rows[True] else np.full(BINS, np.nan),
        )

    def resampled(self, rng: np.random.Generator) -> Self:
        """Draw the same number of forged and of authentic images with replacement; `pixels` is unchanged."""
        return replace(
            self,
            forged=rng.choice(self.forged, len(self.forged)),
            authentic=rng.choice(self.authentic, len(self.authentic)),
        )

    def both(self, column: str) -> NDArray[np.float64]:
        """Return a column of all images, (images,), the forged ones first."""
        return np.concatenate([self.forged[column], self.authentic[column]])

    @property
    def labels(self) -> NDArray[np.bool_]:
        """(images,) bool, True for each forged image, in the order of `both`."""
        return np.arange(len(self.forged) + len(self.authentic)) < len(self.forged)


@dataclass(frozen=True)
class Metric:
    """A number that is reported for every set."""

    name: str
    """Stable key in JSON."""
    title: str
    convention: str
    of: Callable[[Images], float]
    """Computes the metric; NaN when the set lacks the images for it."""
    interval: bool = True
    """Whether it can be computed on resampled images, which gives its interval."""


METRICS = (
    Metric(
        "f1",
        "F1",
        "mean over forged images, marked regions and hints at the bundle's threshold regardless of the score",
        lambda images: _mean(images.forged["f1"]),
    ),
    Metric(
        "shown_f1",
        "F1 of the mask",
        "as F1, without the hints: what a report marks",
        lambda images: _mean(images.forged["shown_f1"]),
    ),
    Metric("iou", "IoU", "as F1", lambda images: _mean(images.forged["iou"])),
    Metric(
        "everything_f1",
        "F1 of marking everything",
        "the baseline: mean over forged images of a mask that marks every pixel",
        lambda images: _mean(images.forged["everything_f1"]),
    ),
    Metric(
        "best_f1",
        "best F1",
        "mean over forged images, each cut at its own best threshold",
        lambda images: _mean(images.forged["best_f1"]),
    ),
    Metric(
        "fixed_f1",
        "best F1 at one threshold",
        "mean over forged images, all cut at the single threshold that is best for the set",
        lambda images: float(images.fixed_f1.max()),
        interval=False,
    ),
    Metric(
        "fixed_threshold",
        "that threshold",
        "to compare with the bundle's",
        lambda images: float("nan") if np.isnan(images.fixed_f1).any() else images.fixed_f1.argmax() / BINS,
        interval=False,
    ),
    Metric(
        "average_precision",
        "pixel AP",
        "mean over forged images of the area under the precision-recall curve, not interpolated",
        lambda images: _mean(images.forged["average_precision"]),
    ),
    Metric(
        "pooled_f1",
        "pooled F1",
        "over the pixels of all images, forged and authentic, at the bundle's threshold",
        lambda images: _pooled(images).f1,
    ),
    Metric("pooled_iou", "pooled IoU", "as pooled F1", lambda images: _pooled(images).iou),
    Metric(
        "pooled_auc",
        "pooled pixel AUC",
        f"over the pixels of all images, from a histogram of {BINS:,} levels",
        lambda images: images.pixels.roc_auc,
        interval=False,
    ),
    Metric(
        "pooled_ap",
        "pooled pixel AP",
        "as pooled pixel AUC",
        lambda images: images.pixels.precision_recall.average_precision if len(images.forged) else np.nan,
        interval=False,
    ),
    Metric(
        "auc",
        "image AUC",
        "of the score, forged against authentic images; ties count half",
        lambda images: metrics.roc_auc(images.both("score"), images.labels),
    ),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        "the verdict `manipulated` against the other two",
        lambda images: metrics.balanced_accuracy(images.both("manipulated"), images.labels),
    ),
    Metric(
        "tpr_at_5_fpr",
        "TPR at 5 % FPR",
        "forged images with a score that at most 5 % of the authentic ones exceed",
        lambda images: metrics.true_positive_rate(images.both("score"), images.labels),
    ),
    Metric(
        "tpr",
        "detected",
        "share of forged images with the verdict `manipulated`",
        lambda images: _mean(images.forged["manipulated"]),
    ),
    Metric(
        "fpr",
        "false alarms",
        "share of authentic images with the verdict `manipulated`",
        lambda images: _mean(images.authentic["manipulated"]),
    ),
    Metric(
        "marked_authentic",
        "authentic with a mark",
        "share of authentic images with any pixel marked",
        lambda images: _mean(images.authentic["area_share"] > 0),
    ),
    Metric(
        "inconclusive",
        "inconclusive",
        "share of all images with that verdict",
        lambda images: _mean(images.both("inconclusive")),
    ),
    Metric(
        "calibration_error",
        "calibration error",
        "expected gap between score and share of forgeries, ten bins of equal width; only for sets with both "
        "forged and authentic images",
        lambda images: (
            metrics.expected_calibration_error(images.both("score"), images.labels)
            if len(images.forged) and len(images.authentic)
            else np.nan
        ),
    ),
)


@dataclass(frozen=True)
class Estimate:
    """A metric with the bounds of its 95 % interval; NaN where undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class TypeConfusion:
    """True and found types of the forged images whose type is known."""

    counts: tuple[tuple[int, ...], ...]
    """Images by true type (row) and found type (column), both in the order of `ManipulationType`."""

    @property
    def recall(self) -> tuple[float, ...]:
        """Share of each type's images that were typed correctly; NaN for a type without images."""
        return tuple(
            row[index] / sum(row) if sum(row) else float("nan") for index, row in enumerate(self.counts)
        )


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything that is reported about a set."""

    set: str
    images: Images
    estimates: Mapping[str, Estimate]
    """By name of the metric."""
    types: TypeConfusion | None
    """None when no true type is known."""


@dataclass(frozen=True)
class RobustnessLevel:
    """The two main metrics under one corruption.

    Changes are relative to the same images uncorrupted, such as -0.5 for half; NaN where those have 0.
    """

    corruption: str
    forged: int
    authentic: int
    f1: float
    f1_change: float
    auc: float
    auc_change: float


def summarise(measurements: Sequence[Measurement], resamples: int = RESAMPLES) -> list[Summary]:
    """Summarise each set.

    Args:
        measurements: Measurements of one or more sets.
        resamples: Bootstrap resamples for the intervals.

    Returns:
        A summary per set, in order of appearance. With several sets, a last one named "all" covers all
        images.
    """
    names = list(dict.fromkeys(measurement.set for measurement in measurements))
    summaries = [
        _summary(name, [measurement for measurement in measurements if measurement.set == name], resamples)
        for name in names
    ]
    return summaries if len(summaries) == 1 else [*summaries, _summary("all", measurements, resamples)]


def compare(cases: Sequence[Case], corrupted: Sequence[Case]) -> list[RobustnessLevel]:
    """Compare the metrics under each corruption with those of the same images uncorrupted.

    The first level is the uncorrupted images. An image that a corruption made unusable, such as too small, is
    left out of the level and of what it is compared with.
    """
    swept = {sample for sample, _ in corrupted}
    clean = {sample: measurement for sample, measurement in cases if sample in swept}
    groups: dict[str, dict[Sample, Measurement]] = {"none": clean}
    for sample, measurement in corrupted:
        groups.setdefault(measurement.corruption, {})[sample] = measurement
    return [_level(name, group, clean) for name, group in groups.items()]


def _level(
    name: str, group: Mapping[Sample, Measurement], clean: Mapping[Sample, Measurement]
) -> RobustnessLevel:
    f1, auc = _main_metrics(group.values())
    clean_f1, clean_auc = _main_metrics(clean[sample] for sample in group)
    forged = sum(measurement.forged for measurement in group.values())
    return RobustnessLevel(
        corruption=name,
        forged=forged,
        authentic=len(group) - forged,
        f1=f1,
        f1_change=f1 / clean_f1 - 1 if clean_f1 else float("nan"),
        auc=auc,
        auc_change=auc / clean_auc - 1 if clean_auc else float("nan"),
    )


def _main_metrics(measurements: Iterable[Measurement]) -> tuple[float, float]:
    """Return the mean F1 of the forged images and the AUC of the score; NaN without the images for it."""
    group = list(measurements)
    f1 = _mean([measurement.f1 for measurement in group if measurement.forged])
    scores, labels = zip(*((measurement.score, measurement.forged) for measurement in group), strict=True)
    return f1, metrics.roc_auc(scores, labels)


def _row(measurement: Measurement) -> tuple[float, ...]:
    both = (
        measurement.score,
        measurement.verdict is Verdict.MANIPULATED,
        measurement.verdict is Verdict.INCONCLUSIVE,
        measurement.area_share,
        *measurement.overlap,
    )
    return (*both, *(getattr(measurement, name) for name in _FORGED)) if measurement.forged else both


def _summary(name: str, measurements: Sequence[Measurement], resamples: int) -> Summary:
    images = Images.of(measurements)
    return Summary(name, images, _estimates(images, resamples), _confusion(measurements))


def _estimates(images: Images, resamples: int) -> dict[str, Estimate]:
    """Return all metrics, with intervals from the percentile bootstrap (Efron 1979).

    Forged and authentic images are resampled separately.
    """
    estimates = {metric.name: Estimate(metric.of(images), np.nan, np.nan) for metric in METRICS}
    resampled = [
        metric for metric in METRICS if metric.interval and not np.isnan(estimates[metric.name].value)
    ]
    rng = np.random.default_rng(SEED)
    drawn = [
        [metric.of(sample) for metric in resampled]
        for sample in (images.resampled(rng) for _ in range(resamples))
    ]
    bounds = np.nanpercentile(np.array(drawn), (2.5, 97.5), axis=0)
    for metric, low, high in zip(resampled, *bounds, strict=True):
        estimates[metric.name] = replace(estimates[metric.name], low=float(low), high=float(high))
    return estimates


def _confusion(measurements: Sequence[Measurement]) -> TypeConfusion | None:
    counts = np.zeros((len(ManipulationType), len(ManipulationType)), int)
    for measurement in measurements:
        if measurement.type:
            counts[measurement.type.id, measurement.found_type.id] += 1
    return TypeConfusion(tuple(map(tuple, counts.tolist()))) if counts.any() else None


def _pooled(images: Images) -> Overlap:
    if not len(images.forged):
        return Overlap(0, 0, 0)
    return Overlap(*(int(images.both(column).sum()) for column in ("hits", "marked", "truth")))


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
