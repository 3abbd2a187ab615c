"""The training loss, one function per term."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from tamperscope.network._torchvision import smp
from tamperscope.training.config import Loss
from tamperscope.training.data import NO_TYPE, Example

EDGE_REACH = 7
"""Side in pixels of the square around a pixel. The pixel is near a border if both mask values occur in it."""


def terms(
    logits: Mapping[str, Tensor], batch: Example, weights: Loss, type_weights: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the weighted loss terms by name, for the outputs that the network has.

    `logits` contains those of `mask` (N, 1, H, W), `type` (N, 4) and `score` (N, 1) that the network returns.
    `type_weights` (4,) weights the manipulation types.
    """
    forged = batch.mask.flatten(1).any(dim=1)
    found: dict[str, Tensor] = {}
    if "mask" in logits:
        mask = logits["mask"].float()
        found["bce"] = weights.bce * mask_cross_entropy(mask, batch.mask, weights.edge)
        if weights.dice:
            found["dice"] = weights.dice * dice_loss(mask[forged], batch.mask[forged])
        if weights.lovasz:
            found["lovasz"] = weights.lovasz * lovasz_hinge(mask[forged], batch.mask[forged])
    if "score" in logits:
        score = logits["score"][:, 0].float()
        found["score"] = weights.score * functional.binary_cross_entropy_with_logits(score, forged.float())
    if "type" in logits:
        found["type"] = weights.type * type_cross_entropy(logits["type"].float(), batch.type, type_weights)
    return found


def mask_cross_entropy(logits: Tensor, target: Tensor, edge: float = 0.0) -> Tensor:
    """Return the mean binary cross-entropy of (N, 1, H, W) logits.

    Pixels near the border of a manipulated region have weight 1 + `edge`, all others 1.
    """
    weight = 1 + edge * near_edge(target) if edge else None
    return functional.binary_cross_entropy_with_logits(logits, target, weight)


def near_edge(target: Tensor) -> Tensor:
    """Return (N, 1, H, W), 1 where the mask has both values in a square of side `EDGE_REACH`, 0 elsewhere."""
    widened, narrowed = (
        functional.max_pool2d(side, EDGE_REACH, stride=1, padding=EDGE_REACH // 2)
        for side in (target, 1 - target)
    )
    return widened + narrowed - 1


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 - soft Dice, averaged over images (Milletari et al. 2016); 0 if there are no images."""
    if len(logits) == 0:
        return logits.sum()
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = (probability + target).sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


def lovasz_hinge(logits: Tensor, target: Tensor) -> Tensor:
    """Return the Lovász hinge, averaged over images (Berman et al., CVPR 2018); 0 if there are no images."""
    if len(logits) == 0:
        return logits.sum()
    loss: Tensor = smp.losses.LovaszLoss("binary", per_image=True)(logits, target)
    return loss


def type_cross_entropy(logits: Tensor, types: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of (N, 4) logits over the images of known type; 0 if there are none."""
    total = functional.cross_entropy(logits, types, weights, ignore_index=NO_TYPE, reduction="sum")
    known = types[types != NO_TYPE]
    count = weights[known].sum() if weights is not None else torch.tensor(len(known), device=types.device)
    return total / count.clamp(min=1e-6)
