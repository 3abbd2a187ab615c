"""The Lightning module that trains every network: normalisation, losses, learning rates and budget."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Self

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from tamperscope.bundle import Preprocessing
from tamperscope.network.joint import JointNetwork
from tamperscope.training.config import Config
from tamperscope.training.data import Example
from tamperscope.training.losses import terms
from tamperscope.training.validation_metrics import Judged


class Training(lightning.LightningModule):
    """A network and its training. Checkpoints include the time spent."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        outputs: tuple[str, ...],
        config: Config,
        *,
        steps: int | None = None,
        started: frozenset[str] = frozenset(),
        type_weights: Sequence[float] | None = None,
    ) -> None:
        """Train `network`, which returns a logit tensor for each name in `outputs`.

        `steps` limits training, in addition to the config's minutes. `started` names the parameters that
        do not start from random values. `type_weights` weights the manipulation types in the loss.
        """
        super().__init__()
        self.network, self.outputs, self.config = network, outputs, config
        self.steps, self.started = steps, started
        for name, values in (("mean", Preprocessing().mean), ("std", Preprocessing().std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        weights = None if type_weights is None else torch.tensor(type_weights)
        self.register_buffer("type_weights", weights, persistent=False)
        self._spent_before = 0.0
        self._started_at = time.monotonic()

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1; the same in all processes."""
        used = [0.0]
        if self.steps:
            used.append(self.trainer.global_step / self.steps)
        if self.config.budget.minutes:
            used.append(self._agreed(self._spent() / (60 * self.config.budget.minutes)))
        return min(max(used), 1.0)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the logits by output name for normalised (N, 3, H, W) RGB."""
        logits = self.network(image)
        return dict(zip(self.outputs, (logits,) if isinstance(logits, Tensor) else logits, strict=True))

    def on_after_batch_transfer(self, batch: Example, _: int) -> Example:
        """Normalise a batch on the device, so that only a quarter of the bytes are transferred to it."""
        image = (batch.image.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        return Example(image, batch.mask[:, None].float(), batch.type)

    def training_step(self, batch: Example, _: int) -> Tensor:
        """Return the loss of one batch."""
        parts = self._terms(batch)
        loss = torch.stack(list(parts.values())).sum()
        self.log_dict(
            {
                "training/loss": loss,
                **{f"training/{name}": part for name, part in parts.items()},
                "training/rate": self._highest_rate(),
            }
        )
        return loss

    def validation_step(self, batch: Example, _: int) -> list[Judged]:
        """Return the predictions for each image."""
        logits = {name: tensor.float() for name, tensor in self(batch.image).items()}
        masks = logits["mask"][:, 0].sigmoid().cpu().numpy() if "mask" in logits else None
        types = logits["type"].softmax(dim=1).cpu().numpy() if "type" in logits else None
        scores = logits["score"][:, 0].sigmoid().tolist() if "score" in logits else None
        pixels = ((batch.image * self.std + self.mean) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        truths = batch.mask[:, 0].bool().cpu().numpy()
        return [
            Judged(
                pixels[place],
                truths[place],
                int(batch.type[place]),
                None if masks is None else masks[place],
                None if types is None else types[place],
                None if scores is None else scores[place],
            )
            for place in range(len(pixels))
        ]

    def train(self, mode: bool = True) -> Self:
        """Set the mode. Frozen modules stay in evaluation mode, including batch norms and dropout."""
        super().train(mode)
        if mode:
            frozen = self.frozen
            for name, module in self.network.named_modules():
                names = {f"{name}.{own}".lstrip(".") for own, _ in module.named_parameters()}
                if names and names <= (self.started if self._keeps_statistics(module) else frozen):
                    module.eval()
        return self

    @property
    def frozen(self) -> frozenset[str]:
        """Names of the parameters frozen by a learning rate of 0."""
        return frozenset(name for name, _ in self.network.named_parameters() if self.peak_rate(name) == 0)

    def peak_rate(self, name: str) -> float:
        """Return the peak learning rate of a parameter of the network."""
        optimisation = self.config.optimisation
        parts = [part for part in optimisation.rates if name.startswith(part)]
        if parts:
            return optimisation.rates[max(parts, key=len)]
        return optimisation.started_rate if name in self.started else optimisation.fresh_rate

    def configure_optimizers(self) -> Optimizer:
        """Return the optimiser, with a group for each learning rate of started and of fresh weights.

        Weights with a rate of 0 are frozen.
        """
        optimisation = self.config.optimisation
        groups: dict[tuple[bool, float], list[nn.Parameter]] = defaultdict(list)
        for name, parameter in self.network.named_parameters():
            if peak := self.peak_rate(name):
                groups[name not in self.started, peak].append(parameter)
            else:
                parameter.requires_grad_(False)
        kind = AdamW if optimisation.optimiser == "adamw" else Adam
        # Lightning does not clip the gradients of a fused optimiser in mixed precision.
        fused = optimisation.precision == "32-true" or optimisation.gradient_clip is None
        return kind(
            [{"params": groups[key], "peak": key[1]} for key in sorted(groups)],
            weight_decay=optimisation.weight_decay,
            fused=fused,
        )

    def on_train_start(self) -> None:
        """Start the clock. A resumed run whose budget is already spent ends at once."""
        # Lightning switches modules individually, so a mode set earlier would be lost.
        self.train()
        self._started_at = time.monotonic()
        self.trainer.should_stop = self.progress >= 1

    def on_train_batch_start(self, _: Example, index: int) -> None:
        """Set the learning rates, and the seed of dropout so that a resumed run repeats it."""
        torch.manual_seed(self.config.seed + index * self.trainer.world_size + self.trainer.global_rank)
        rise = self._schedule(self.progress)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["peak"] * rise

    def on_train_batch_end(self, *_: Any) -> None:
        """End training when the budget is spent."""
        if self.progress >= 1:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the time spent, and the names of the weights that did not start from random values."""
        checkpoint["spent_seconds"] = self._spent()
        checkpoint["started"] = sorted(self.started)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the time spent and the names saved with it."""
        self._spent_before = checkpoint["spent_seconds"]
        self.started = frozenset(checkpoint["started"])

    def _terms(self, batch: Example) -> dict[str, Tensor]:
        """Return the weighted loss terms by name, and those of the trunk alone if they count."""
        loss = self.config.loss
        if not loss.trunk or not isinstance(self.network, JointNetwork):
            return terms(self(batch.image), batch, loss, self.type_weights)
        trunk = self.network.trunk(batch.image)
        own, of_trunk = (
            terms(dict(zip(self.outputs, logits, strict=True)), batch, loss, self.type_weights)
            for logits in (self.network.corrected(batch.image, trunk), trunk)
        )
        return own | {f"trunk_{name}": loss.trunk * part for name, part in of_trunk.items()}

    def _keeps_statistics(self, module: nn.Module) -> bool:
        return self.config.optimisation.frozen_norms and isinstance(module, nn.BatchNorm2d)

    def _schedule(self, progress: float) -> float:
        """Return the share of the peak learning rate: warm-up, then constant or half a cosine down to 1 %."""
        optimisation = self.config.optimisation
        rise = min(progress / optimisation.warm_up, 1.0) if optimisation.warm_up else 1.0
        if optimisation.schedule == "constant":
            return rise
        return rise * (0.5 * (1 + math.cos(math.pi * progress)) + 0.01)

    def _highest_rate(self) -> float:
        return max(float(group["lr"]) for group in self.trainer.optimizers[0].param_groups)

    def _spent(self) -> float:
        return self._spent_before + time.monotonic() - self._started_at

    def _agreed(self, value: float) -> float:
        """Return the first process's value in all processes.

        Clocks differ, and processes that end at different steps would wait for each other forever.
        """
        if self.trainer.world_size == 1:
            return value
        agreed = torch.tensor(value, device=self.device)
        torch.distributed.broadcast(agreed, src=0)
        return float(agreed)
