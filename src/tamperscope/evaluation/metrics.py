"""The figures papers print, each with its convention.

Pixel figures follow the published habit of calling the manipulated pixels positive; a map is never inverted
to fit the ground truth. Image figures call the forged images positive.
"""

from __future__ import annotations

import base64
import zlib
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 65_536
"""Evenly spaced levels of probability in a `PixelHistogram`: pooled AUC, AP and best F1 of four million real
pixels differ from the exact ones by less than 3e-5; with 4,096 bins, AP differs by 3e-4."""


class Overlap(NamedTuple):
    """How a mask covers a ground truth, in pixels: of one image, or summed over many."""

    hits: int
    """Pixels that are marked and manipulated."""
    marked: int
    manipulated: int

    @property
    def f1(self) -> float:
        """F1, which is the Dice coefficient, 0 to 1; NaN when nothing is marked or manipulated."""
        return _ratio(2 * self.hits, self.marked + self.manipulated)

    @property
    def iou(self) -> float:
        """Intersection over union, the Jaccard index, 0 to 1; NaN when nothing is marked or manipulated."""
        return _ratio(self.hits, self.marked + self.manipulated - self.hits)


def overlap(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Overlap:
    """Compare two (height, width) masks of a forged image.

    Raises ValueError when the ground truth is empty: F1 says nothing about an authentic image.
    """
    if not truth.any():
        raise ValueError("F1 and IoU are defined on forged images only")
    return Overlap(int((mask & truth).sum()), int(mask.sum()), int(truth.sum()))


class PrecisionRecall(NamedTuple):
    """What cutting a map at each of some falling thresholds marks; arrays are (thresholds,)."""

    thresholds: NDArray[np.float64]
    hits: NDArray[np.int64]
    """Pixels at or above the threshold that are manipulated."""
    marked: NDArray[np.int64]
    """Pixels at or above the threshold."""
    manipulated: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the marked pixels that are manipulated; 1 where none is marked."""
        return np.where(self.marked > 0, self.hits / np.maximum(self.marked, 1), 1.0)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the manipulated pixels that are marked."""
        return self.hits / self.manipulated

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 at each threshold."""
        return 2 * self.hits / (self.marked + self.manipulated)

    @property
    def best_f1(self) -> float:
        """F1 at the threshold that suits best."""
        return float(self.f1.max())

    @property
    def average_precision(self) -> float:
        """Sum of the precisions, each weighted by the recall gained there; nothing is interpolated."""
        return float(np.sum(self.precision * np.diff(self.recall, prepend=0.0)))


def precision_recall(heatmap: NDArray[np.float32], truth: NDArray[np.bool_]) -> PrecisionRecall:
    """Cut a heatmap at each distinct value that a manipulated pixel has: best F1 and AP are exact.

    Other thresholds mark more pixels without a further hit, so neither figure needs them. Raises ValueError
    when the ground truth is empty.
    """
    if not truth.any():
        raise ValueError("F1 and average precision are defined on forged images only")
    # Two plain sorts are several times faster than sorting pairs.
    manipulated, every = np.sort(heatmap[truth]), np.sort(heatmap, axis=None)
    thresholds, first = np.unique(manipulated, return_index=True)
    return PrecisionRecall(
        thresholds=thresholds[::-1].astype(np.float64),
        hits=(manipulated.size - first)[::-1],
        marked=(every.size - np.searchsorted(every, thresholds))[::-1],
        manipulated=manipulated.size,
    )


class PixelHistogram:
    """How many pixels of one image, or of many, have each probability; `+` pools them."""

    def __init__(self, counts: NDArray[np.int64] | None = None) -> None:
        """Take counts, (2, BINS): authentic and manipulated pixels by rising probability; None is none."""
        self.counts = np.zeros((2, BINS), np.int64) if counts is None else counts

    @classmethod
    def of(cls, heatmap: NDArray[np.float32], truth: NDArray[np.bool_]) -> Self:
        """Count the pixels of a heatmap and its ground truth, both (height, width)."""
        bins = np.minimum((heatmap * np.float32(BINS)).astype(np.intp), BINS - 1)
        return cls(np.stack([np.bincount(bins[part], minlength=BINS) for part in (~truth, truth)]))

    def __add__(self, other: PixelHistogram) -> PixelHistogram:
        """Pool the pixels of both."""
        return PixelHistogram(self.counts + other.counts)

    @property
    def precision_recall(self) -> PrecisionRecall:
        """What the lower edge of each bin marks, all `BINS` of them."""
        authentic, manipulated = np.cumsum(self.counts[:, ::-1], axis=1)
        thresholds = np.arange(BINS)[::-1] / BINS
        return PrecisionRecall(thresholds, manipulated, authentic + manipulated, int(manipulated[-1]))

    @property
    def roc_auc(self) -> float:
        """Chance that a manipulated pixel is above an authentic one, half in one bin; NaN without either."""
        authentic, manipulated = self.counts
        below = np.cumsum(authentic) - authentic / 2
        return _ratio(float(manipulated @ below), int(authentic.sum()) * int(manipulated.sum()))

    def encode(self) -> str:
        """Return the counts as text, some 20 kilobytes for one image."""
        return base64.b85encode(zlib.compress(self.counts.astype("<u4").tobytes())).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read back what `encode` gave."""
        counts = np.frombuffer(zlib.decompress(base64.b85decode(text)), "<u4")
        return cls(counts.reshape(2, BINS).astype(np.int64))


def roc_auc(scores: ArrayLike, forged: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that a forged image scores above an authentic one.

    Ties count half (Mann and Whitney 1947). NaN when one of the classes is missing.
    """
    values, positive = np.asarray(scores, float), np.asarray(forged, bool)
    if positive.all() or not positive.any():
        return float("nan")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives, negatives = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def balanced_accuracy(flagged: ArrayLike, forged: ArrayLike) -> float:
    """Return the mean of the share of forged images flagged and of authentic ones not; NaN without either."""
    decided, positive = np.asarray(flagged, bool), np.asarray(forged, bool)
    if positive.all() or not positive.any():
        return float("nan")
    return float((decided[positive].mean() + (~decided[~positive]).mean()) / 2)


def true_positive_rate(scores: ArrayLike, forged: ArrayLike, false_positive_rate: float = 0.05) -> float:
    """Return the share of forged images whose score is exceeded by few authentic ones only.

    The threshold is the lowest score that at most `false_positive_rate` of the authentic images exceed.
    """
    values, positive = np.asarray(scores, float), np.asarray(forged, bool)
    if positive.all() or not positive.any():
        return float("nan")
    authentic = np.sort(values[~positive])[::-1]
    allowed = int(false_positive_rate * len(authentic))
    return float((values[positive] > authentic[min(allowed, len(authentic) - 1)]).mean())


class ReliabilityBin(NamedTuple):
    """Images with about the same score."""

    images: int
    mean_score: float
    forged_share: float


def reliability(scores: ArrayLike, forged: ArrayLike, bins: int = 10) -> list[ReliabilityBin]:
    """Group images by score into equally wide bins, lowest first; bins without an image are left out."""
    values, positive = np.asarray(scores, float), np.asarray(forged, bool)
    places = np.minimum((values * bins).astype(int), bins - 1)
    images, scores_sum, forged_sum = (
        np.bincount(places, weights, bins) for weights in (np.ones_like(values), values, positive)
    )
    return [
        ReliabilityBin(int(count), score / count, share / count)
        for count, score, share in zip(images, scores_sum, forged_sum, strict=True)
        if count
    ]


def expected_calibration_error(scores: ArrayLike, forged: ArrayLike, bins: int = 10) -> float:
    """Return the mean gap between score and observed share of forgeries, over equally wide bins of the score.

    Bins weigh by how many images fall into them (Naeini et al. 2015).
    """
    found = reliability(scores, forged, bins)
    gaps = sum(group.images * abs(group.mean_score - group.forged_share) for group in found)
    return gaps / sum(group.images for group in found)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
