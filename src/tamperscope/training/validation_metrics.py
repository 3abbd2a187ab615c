"""Validation metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamperscope import calibration
from tamperscope.evaluation import metrics
from tamperscope.training.data import NO_TYPE

MONITORED = {"mask": "f1", "type": "type_accuracy"}
"""The metric that selects the best weights, by the first output of the network."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One validation image with its ground truth and the network's predictions.

    A prediction is None when the network has no such output.
    """

    image: NDArray[np.uint8]
    """(H, W, 3) uint8 RGB."""
    truth: NDArray[np.bool_]
    """(H, W) bool, True where manipulated."""
    true_type: int
    """The manipulation type's id, or `NO_TYPE`."""
    mask: NDArray[np.float32] | None
    """(H, W) float32 probabilities."""
    types: NDArray[np.float32] | None
    """(4,) float32 probabilities, by the type's id."""
    score: float | None
    """Probability that the image is manipulated."""


def validation_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the metrics that the network's outputs allow, by name; NaN where no image qualifies.

    `f1` and `iou` (at probability 0.5) and `best_f1` (at each image's best threshold) are means over the
    forged images. `auc` uses the score, or the peak of the mask's probabilities if there is no score.
    `type_accuracy` covers the images whose type is known.
    """
    found: dict[str, float] = {}
    masked = [image for image in judged if image.mask is not None]
    if masked:
        forged = [
            (image.mask, image.truth) for image in masked if image.truth.any() and image.mask is not None
        ]
        overlaps = [metrics.overlap(mask > 0.5, truth) for mask, truth in forged]
        found["f1"] = _mean([overlap.f1 for overlap in overlaps])
        found["iou"] = _mean([overlap.iou for overlap in overlaps])
        found["best_f1"] = _mean([metrics.precision_recall(mask, truth).best_f1 for mask, truth in forged])
        found["auc"] = metrics.roc_auc(
            [_image_score(image) for image in masked], [bool(image.truth.any()) for image in masked]
        )
    typed = [image for image in judged if image.types is not None]
    if typed:
        found["type_accuracy"] = _mean(
            [
                int(image.types.argmax()) == image.true_type
                for image in typed
                if image.types is not None and image.true_type != NO_TYPE
            ]
        )
    return found


def _image_score(image: Judged) -> float:
    if image.score is not None:
        return image.score
    assert image.mask is not None
    return calibration.peak(image.mask)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
