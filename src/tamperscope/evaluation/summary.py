"""From measurements of single images to the figures of a set, each with its convention and its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tamperscope.evaluation import metrics
from tamperscope.evaluation.measurement import Case, Measurement
from tamperscope.evaluation.metrics import BINS, Overlap, PixelHistogram
from tamperscope.report import ManipulationType, Verdict

RESAMPLES = 1000
SEED = 0

_Rows = NDArray[np.void]
_FORGED = ("f1", "iou", "best_f1", "average_precision", "everything_f1")
_BOTH = ("score", "manipulated", "inconclusive", "area_share", "hits", "marked", "truth")


@dataclass(frozen=True, eq=False)
class Images:
    """The measurements of a set in columns; `forged` and `authentic` are structured arrays."""

    forged: _Rows
    authentic: _Rows
    pixels: PixelHistogram
    """Every pixel of all of them."""
    fixed_f1: NDArray[np.float64]
    """(BINS,): mean F1 of the forged images when all are cut at the lower edge of each bin."""

    @classmethod
    def of(cls, measurements: Iterable[Measurement]) -> Self:
        """Put measurements into columns."""
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
        """Draw as many forged and as many authentic images with replacement; the pixels stay."""
        return replace(
            self,
            forged=rng.choice(self.forged, len(self.forged)),
            authentic=rng.choice(self.authentic, len(self.authentic)),
        )

    def both(self, column: str) -> NDArray[np.float64]:
        """Return a column of the forged images, then of the authentic ones."""
        return np.concatenate([self.forged[column], self.authentic[column]])

    @property
    def labels(self) -> NDArray[np.bool_]:
        """True for each forged image, in the order of `both`."""
        return np.arange(len(self.forged) + len(self.authentic)) < len(self.forged)


@dataclass(frozen=True)
class Metric:
    """One number that is reported for every set."""

    name: str
    """Its key in JSON, which stays."""
    title: str
    convention: str
    of: Callable[[Images], float]
    """NaN where the set lacks the images for it."""
    interval: bool = True
    """Whether it is computed from images that can be resampled."""


METRICS = (
    Metric(
        "f1",
        "F1",
        "mean over forged images, mask at the bundle's threshold whatever the verdict says",
        lambda images: _mean(images.forged["f1"]),
    ),
    Metric("iou", "IoU", "as F1", lambda images: _mean(images.forged["iou"])),
    Metric(
        "everything_f1",
        "F1 of marking everything",
        "the baseline: mean over forged images of a mask that is all white",
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
        "mean over forged images, all cut at the one threshold that suits the set best",
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
        "mean over forged images of the area under precision and recall, not interpolated",
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
        "share of authentic images with any pixel left in the mask",
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
        "expected gap between score and share of forgeries, ten bins of equal width; sets with both only",
        lambda images: (
            metrics.expected_calibration_error(images.both("score"), images.labels)
            if len(images.forged) and len(images.authentic)
            else np.nan
        ),
    ),
)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class TypeConfusion:
    """How forged images of known type were named."""

    counts: tuple[tuple[int, ...], ...]
    """Row: true type; column: found type; both in the order of `ManipulationType`."""

    @property
    def recall(self) -> tuple[float, ...]:
        """Share of each type that was named right; NaN where a type has no image."""
        return tuple(
            row[index] / sum(row) if sum(row) else float("nan") for index, row in enumerate(self.counts)
        )


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything that is reported about a set."""

    set: str
    images: Images
    estimates: Mapping[str, Estimate]
    """By the figure's name."""
    types: TypeConfusion | None
    """None when no type is known."""


@dataclass(frozen=True)
class RobustnessLevel:
    """What one corruption leaves of the two main figures; changes are relative to the value without it."""

    corruption: str
    forged: int
    authentic: int
    f1: float
    f1_change: float
    auc: float
    auc_change: float


def summarise(measurements: Sequence[Measurement], resamples: int = RESAMPLES) -> list[Summary]:
    """Sum up each set, and all together at last when there are several."""
    names = list(dict.fromkeys(measurement.set for measurement in measurements))
    summaries = [
        _summary(name, [measurement for measurement in measurements if measurement.set == name], resamples)
        for name in names
    ]
    return summaries if len(summaries) == 1 else [*summaries, _summary("all", measurements, resamples)]


def compare(cases: Sequence[Case], corrupted: Sequence[Case]) -> list[RobustnessLevel]:
    """Compare each corruption with the same images as they are; the first level is without any."""
    swept = {sample for sample, _ in corrupted}
    groups = {"none": [measurement for sample, measurement in cases if sample in swept]}
    for _, measurement in corrupted:
        groups.setdefault(measurement.corruption, []).append(measurement)
    levels: list[RobustnessLevel] = []
    for name, group in groups.items():
        labels = [measurement.forged for measurement in group]
        f1 = _mean([measurement.f1 for measurement in group if measurement.forged])
        auc = metrics.roc_auc([measurement.score for measurement in group], labels)
        clean = levels[0] if levels else None
        levels.append(
            RobustnessLevel(
                corruption=name,
                forged=sum(labels),
                authentic=len(labels) - sum(labels),
                f1=f1,
                f1_change=f1 / clean.f1 - 1 if clean and clean.f1 else 0.0,
                auc=auc,
                auc_change=auc / clean.auc - 1 if clean and clean.auc else 0.0,
            )
        )
    return levels


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
    """The percentile bootstrap (Efron 1979): images are drawn within forged and within authentic ones."""
    estimates = {figure.name: Estimate(figure.of(images), np.nan, np.nan) for figure in METRICS}
    resampled = [f for f in METRICS if f.interval and not np.isnan(estimates[f.name].value)]
    rng = np.random.default_rng(SEED)
    drawn = [
        [figure.of(sample) for figure in resampled]
        for sample in (images.resampled(rng) for _ in range(resamples))
    ]
    bounds = np.nanpercentile(np.array(drawn), (2.5, 97.5), axis=0)
    for figure, low, high in zip(resampled, *bounds, strict=True):
        estimates[figure.name] = replace(estimates[figure.name], low=float(low), high=float(high))
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
