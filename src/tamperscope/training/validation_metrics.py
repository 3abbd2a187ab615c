"""What validation measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamperscope import calibration
from tamperscope.evaluation import metrics
from tamperscope.training.data import NO_TYPE

MONITORED = {"mask": "f1", "type": "type_accuracy"}
"""The figure by which the best weights are chosen, for a network whose first output is the key."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One validation image: what a network says, where it says anything, beside the truth."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    truth: NDArray[np.bool_]
    """(H, W)."""
    true_type: int
    """The manipulation type's id, or `NO_TYPE`."""
    mask: NDArray[np.float32] | None
    """(H, W) probabilities."""
    types: NDArray[np.float32] | None
    """(4,) probabilities."""
    score: float | None
    """Probability."""


def figures(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the figures that the outputs allow, NaN where no image tells.

    `f1` and `iou` at probability 0.5 and `best_f1` at each image's best threshold are means over forged
    images; `auc` is by the score, or the map's peak where there is none; `type_accuracy` is over the images
    whose type is known.
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
