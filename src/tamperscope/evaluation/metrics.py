"""The figures papers print, each with its convention."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Overlap(NamedTuple):
    """How well a mask agrees with the ground truth of one image, each value 0 to 1."""

    f1: float
    iou: float


def overlap(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Overlap:
    """Compare two (height, width) masks of a forged image; maps are never inverted to fit.

    Raises ValueError when the ground truth is empty: F1 says nothing about an authentic image.
    """
    if not truth.any():
        raise ValueError("F1 and IoU are defined on forged images only")
    both = int((mask & truth).sum())
    marked, real = int(mask.sum()), int(truth.sum())
    return Overlap(2 * both / (marked + real), both / (marked + real - both))


def best_f1(heatmap: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Return the F1 of one image at the threshold, of 256 evenly spaced ones, that suits it best."""
    if not truth.any():
        raise ValueError("F1 is defined on forged images only")
    levels = np.clip((heatmap * 255).astype(np.int64), 0, 255)
    hits = np.cumsum(np.bincount(levels[truth], minlength=256)[::-1])
    marked = np.cumsum(np.bincount(levels.ravel(), minlength=256)[::-1])
    return float((2 * hits / (marked + truth.sum())).max())


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


def expected_calibration_error(scores: ArrayLike, forged: ArrayLike, bins: int = 10) -> float:
    """Return the mean gap between score and observed share of forgeries, over equally wide bins of the score.

    Bins weigh by how many images fall into them (Naeini et al. 2015).
    """
    values, positive = np.asarray(scores, float), np.asarray(forged, bool)
    places = np.minimum((values * bins).astype(int), bins - 1)
    gaps = [
        abs(values[places == place].mean() - positive[places == place].mean()) * (places == place).sum()
        for place in np.unique(places)
    ]
    return float(np.sum(gaps) / len(values))
