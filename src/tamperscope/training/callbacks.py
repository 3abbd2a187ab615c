"""Callbacks of a training run: validation metrics, best weights, pictures of predictions, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tamperscope.bundle import Architecture
from tamperscope.network.checkpoints import save_checkpoint
from tamperscope.report import ManipulationType
from tamperscope.training.data import NO_TYPE
from tamperscope.training.module import Training
from tamperscope.training.validation_metrics import Judged, validation_metrics

BEST = "best.pth"
SHEET_ROWS = 8


class Validation(lightning.Callback):
    """Logs metrics, keeps the best weights as `best.pth` and draws a sheet of predictions.

    It must precede the averaging callback, which swaps the averaged weights for the trained ones as soon as a
    validation ends.
    """

    def __init__(self, architecture: Architecture, monitored: str, out: Path) -> None:
        self.architecture, self.monitored, self.out = architecture, monitored, out
        self._judged: list[Judged] = []
        self._best = -math.inf

    def on_validation_batch_end(self, _: lightning.Trainer, __: Training, outputs: Any, *___: Any) -> None:
        """Collect the predictions of a batch."""
        self._judged += outputs

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Training) -> None:
        """Log the metrics, save the weights if they are the best so far, and draw the predictions."""
        found = validation_metrics(self._judged)
        module.log_dict({f"validation/{name}": value for name, value in found.items()}, sync_dist=True)
        if trainer.is_global_zero:
            better = found[self.monitored] > self._best
            # The first weights are always kept, in case the metric is NaN on this validation set.
            if better or not (self.out / BEST).exists():
                save_checkpoint(module.network, self.architecture, self.out / BEST)
            sheet = self.out / "predictions" / f"step-{trainer.global_step:06}.png"
            draw_predictions(self._judged[:SHEET_ROWS], sheet)
        self._best = max(self._best, found[self.monitored])
        self._judged = []

    def state_dict(self) -> dict[str, Any]:
        """Return the best value of the monitored metric, which a resumed run must beat."""
        return {"best": self._best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the best value that the interrupted run reached."""
        self._best = state["best"]


class ImagesPerSecond(lightning.Callback):
    """Shows the share of the budget used, the loss and the speed.

    Without a terminal, prints a line per validation instead.
    """

    def __init__(self, console: Console, images_per_batch: int) -> None:
        self._images_per_batch = images_per_batch
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}% of the budget"),
            TimeElapsedColumn(),
            TextColumn(
                "step {task.fields[step]}  loss {task.fields[loss]}  {task.fields[speed]:.0f} images/s"
            ),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("Training", total=1, step=0, loss="–", speed=0.0)
        self._images, self._seconds = 0, 0.0
        self._since = time.monotonic()

    @property
    def speed(self) -> float:
        """Training images per second over all processes, excluding validation."""
        return self._images / self._seconds if self._seconds else 0.0

    def on_train_start(self, *_: Any) -> None:
        """Show the progress bar."""
        self._progress.start()
        self._since = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Training, *_: Any) -> None:
        """Count the images and update the progress bar."""
        now = time.monotonic()
        self._images += self._images_per_batch
        self._seconds += now - self._since
        self._since = now
        if self._progress.disable or trainer.global_step % trainer.log_every_n_steps:
            return
        loss = trainer.callback_metrics.get("training/loss")
        self._progress.update(
            self._task,
            completed=module.progress,
            step=trainer.global_step,
            loss="–" if loss is None else f"{float(loss):.3f}",
            speed=self.speed,
        )

    def on_validation_end(self, trainer: lightning.Trainer, _: Training) -> None:
        """Print the metrics."""
        found = {
            name.removeprefix("validation/").replace("_", " "): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("validation/")
        }
        shown = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
        self._console.print(
            f"step {trainer.global_step}  {shown}  {self.speed:.1f} images/s", highlight=False, soft_wrap=True
        )
        self._since = time.monotonic()

    def teardown(self, *_: Any, **__: Any) -> None:
        """Stop updating the progress bar."""
        self._progress.stop()


def draw_predictions(judged: Sequence[Judged], path: Path) -> None:
    """Draw a PNG with a row per image: the image, the ground truth, the prediction."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7.5, 2.7 * len(judged)), layout="constrained")
    rows = figure.subplots(len(judged), 3, squeeze=False)
    for (image, truth, prediction), judgement in zip(rows, judged, strict=True):
        image.imshow(judgement.image)
        truth.imshow(judgement.truth, cmap="gray", vmin=0, vmax=1)
        truth.set_title(_truth_title(judgement), fontsize=9)
        if judgement.mask is not None:
            prediction.imshow(judgement.mask, cmap="inferno", vmin=0, vmax=1)
        prediction.set_title(_prediction_title(judgement), fontsize=9)
        for panel in (image, truth, prediction):
            panel.set_axis_off()
    figure.savefig(path, dpi=80)


def _truth_title(judgement: Judged) -> str:
    if judgement.true_type != NO_TYPE:
        return _type_name(judgement.true_type)
    return "manipulated" if judgement.truth.any() else "authentic"


def _prediction_title(judgement: Judged) -> str:
    parts = [] if judgement.score is None else [f"score {judgement.score:.2f}"]
    if judgement.types is not None:
        likeliest = int(np.argmax(judgement.types))
        parts.append(f"{_type_name(likeliest)} {judgement.types[likeliest]:.2f}")
    return ", ".join(parts)


def _type_name(number: int) -> str:
    return next(kind.value for kind in ManipulationType if kind.id == number)
