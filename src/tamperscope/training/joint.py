"""Training of the joint network within a time budget."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional

from tamperscope.network.joint import JointNetwork
from tamperscope.training.data import NO_TYPE, Example


@dataclass(frozen=True)
class JointRecipe:
    """How the joint network is trained."""

    minutes: float
    """Time budget; the learning rate follows it, so that any budget ends with a finished schedule."""
    size: int = 224
    batch: int = 8
    trunk_rate: float = 2e-4
    """Peak learning rate of the layers that start from ImageNet."""
    fresh_rate: float = 8e-4
    """Peak learning rate of layer 4, the decoder and the heads, which start from scratch."""
    weight_decay: float = 1e-2
    warm_up: float = 0.04
    """Share of the budget in which the rates rise."""
    seed: int = 7


class JointTraining(lightning.LightningModule):
    """One network, three losses; the budget that is used up is part of the checkpoint."""

    def __init__(self, network: JointNetwork, recipe: JointRecipe) -> None:
        super().__init__()
        self.network, self.recipe = network, recipe
        self._spent_before = 0.0
        self._started = time.monotonic()

    @property
    def progress(self) -> float:
        """Share of the time budget that is used up, 0 to 1."""
        spent = self._spent_before + time.monotonic() - self._started
        return min(spent / (60 * self.recipe.minutes), 1.0)

    def training_step(self, batch: Example, _: int) -> Tensor:
        """Return the loss of one batch."""
        logits = self.network(batch.image)
        forged = batch.type != NO_TYPE
        mask = functional.binary_cross_entropy_with_logits(logits.mask, batch.mask)
        overlap = dice_loss(logits.mask[forged], batch.mask[forged])
        score = functional.binary_cross_entropy_with_logits(logits.score[:, 0], forged.float())
        kind = functional.cross_entropy(logits.type[forged], batch.type[forged]) if forged.any() else 0.0
        loss: Tensor = 2 * mask + 0.5 * overlap + 0.2 * score + 0.15 * kind
        self.log_dict(
            {
                "loss": loss,
                "mask": mask,
                "dice": overlap,
                "score": score,
                "type": kind,
                "progress": self.progress,
            },
            prog_bar=True,
        )
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Give fresh layers a higher learning rate than those that start from ImageNet."""
        encoder = self.network.segmentation.encoder
        trunk = [
            parameter
            for name in ("conv1", "bn1", "layer1", "layer2", "layer3")
            for parameter in getattr(encoder, name).parameters()
        ]
        known = {id(parameter) for parameter in trunk}
        fresh = [parameter for parameter in self.network.parameters() if id(parameter) not in known]
        return torch.optim.AdamW(
            [
                {"params": trunk, "peak": self.recipe.trunk_rate},
                {"params": fresh, "peak": self.recipe.fresh_rate},
            ],
            weight_decay=self.recipe.weight_decay,
        )

    def on_train_start(self) -> None:
        """Start the clock of this run."""
        self._started = time.monotonic()

    def on_train_batch_start(self, *_: Any) -> int | None:
        """Set the learning rates by the clock: warm-up, then cosine; -1 ends the training."""
        if self.progress >= 1:
            self.trainer.should_stop = True
            return -1
        warm_up = min(self.progress / self.recipe.warm_up, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress)) + 0.01
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["peak"] * warm_up * cosine
        return None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep how much of the budget is spent."""
        checkpoint["spent_seconds"] = self._spent_before + time.monotonic() - self._started

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on where the budget stood."""
        self._spent_before = checkpoint["spent_seconds"]


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 - soft Dice, averaged over images; 0 without images (Milletari et al. 2016)."""
    if len(logits) == 0:
        return logits.sum()
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = (probability + target).sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()
