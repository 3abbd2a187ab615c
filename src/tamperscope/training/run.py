"""Train a network from a config, and write the best weights, curves and pictures into a folder.

    train("joint", read_config("synthetic-joint", ["budget.minutes=60"]), Path("runs/joint"))

| file | content |
|---|---|
| `config.yaml` | the config of the run |
| `best.pth` | the weights with the best validation metric, for `import-checkpoint` or `release` |
| `last.ckpt` | the state from which `--resume` continues |
| `training.csv`, `validation.csv`, `tensorboard/` | the curves |
| `predictions/` | pictures of predictions, one sheet per validation |
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tamperscope.bundle import Architecture
from tamperscope.errors import TrainingError
from tamperscope.network.architectures import build, outputs_of
from tamperscope.network.start import start_from
from tamperscope.report import ManipulationType
from tamperscope.training.callbacks import BEST, ImagesPerSecond, Validation
from tamperscope.training.config import Config, read_config
from tamperscope.training.curves import Curves
from tamperscope.training.data import TrainingData
from tamperscope.training.module import Training
from tamperscope.training.validation_metrics import MONITORED

FAMILIES = {
    "segmentation": ("deeplabv3plus", 1),
    "classification": ("resnet", len(ManipulationType)),
    "joint": ("joint", 1),
}
"""Network family and number of classes of each task."""
CONFIG, LAST = "config.yaml", "last.ckpt"


def train(
    task: str, config: Config, out: Path, *, resume: bool = False, console: Console | None = None
) -> Path:
    """Train a network.

    Args:
        task: What the network predicts, a key of `FAMILIES`.
        config: The configuration of the run.
        out: Folder of the run.
        resume: Whether to continue from the last checkpoint in `out`, if there is one.
        console: Where progress is shown; stderr by default.

    Returns:
        The file with the best weights.

    Raises:
        TrainingError: There is no data, not enough memory, or already a run in `out`.
        DatasetError: The folder contains nothing in the dataset's layout.
        PhotosError: There are no photos.
        BundleError: The weights to start from cannot be read from a bundle.
        CheckpointError: The weights to start from cannot be read from a checkpoint, or do not fit.
    """
    console = console or Console(stderr=True)
    _begin(out, resume)
    lightning.seed_everything(config.seed, verbose=False)
    family, classes = FAMILIES[task]
    architecture = Architecture(family, config.network.encoder, classes)
    network = build(architecture)
    resumed = out / LAST if resume and (out / LAST).exists() else None
    started: frozenset[str] = frozenset()
    if config.network.init and not resumed:
        started = start_from(network, architecture, config.network.init)
        _say(
            console, f"{len(started)} of {len(network.state_dict())} tensors start from {config.network.init}"
        )
    data = TrainingData(config, types_needed=task == "classification")
    _say(console, data.summary)
    epoch_steps = _epoch_steps(config, data)
    outputs = outputs_of(architecture)
    training = Training(
        network,
        outputs,
        config,
        steps=_last_step(config, epoch_steps),
        started=started,
        type_weights=_type_weights(data) if config.loss.class_balance else None,
    )
    _check_rates(config, network)
    if is_first_process():
        config.write(out / CONFIG)
    trainer = _trainer(config, out, epoch_steps, MONITORED[outputs[0]], architecture, console)
    # Images arrive in this memory order, and tensor cores prefer it.
    training.to(memory_format=torch.channels_last)
    torch.backends.cuda.matmul.allow_tf32 = True
    with _explained(config), warnings.catch_warnings():
        # Lightning's warnings are advice for developers, not for users of this command.
        warnings.filterwarnings("ignore", module=r"lightning\.")
        trainer.fit(training, data, ckpt_path=resumed, weights_only=True)
    return out / BEST


def is_first_process() -> bool:
    """Return whether this is the process of a run that writes files and prints."""
    return bool(rank_zero_only.rank == 0)


def resumed_config(out: Path, overrides: Sequence[str] = ()) -> Config:
    """Return the config of the run in `out`.

    Raises `TrainingError` when there is no run.
    """
    if not (out / CONFIG).is_file():
        raise TrainingError(f"{out} contains no training run.")
    return read_config(out / CONFIG, overrides)


def _trainer(
    config: Config, out: Path, epoch_steps: int, monitored: str, architecture: Architecture, console: Console
) -> lightning.Trainer:
    optimisation, budget, machines = config.optimisation, config.budget, config.machines
    devices, nodes = machines.device_count(), machines.node_count()
    callbacks: list[Callback] = [Validation(architecture, monitored, out)]
    if optimisation.ema_decay is not None:
        callbacks.append(
            WeightAveraging(
                multi_avg_fn=get_ema_multi_avg_fn(optimisation.ema_decay)  # type: ignore[no-untyped-call]
            )
        )
    if budget.patience:
        callbacks.append(
            EarlyStopping(f"validation/{monitored}", mode="max", patience=budget.patience, check_finite=False)
        )
    callbacks.append(
        ModelCheckpoint(
            out,
            filename=LAST.removesuffix(".ckpt"),
            every_n_train_steps=budget.checkpoint_steps,
            enable_version_counter=False,
        )
    )
    if is_first_process():
        callbacks.append(ImagesPerSecond(console, optimisation.batch * devices * nodes))
    return lightning.Trainer(
        # The data is endless, so there is one endless epoch, which the budget ends.
        max_epochs=-1,
        val_check_interval=epoch_steps * optimisation.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        accelerator=machines.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=machines.strategy,
        use_distributed_sampler=False,
        precision=optimisation.precision,
        accumulate_grad_batches=optimisation.accumulate,
        gradient_clip_val=optimisation.gradient_clip,
        benchmark=torch.cuda.is_available(),
        callbacks=callbacks,
        logger=[Curves(out), TensorBoardLogger(out, name="", version="tensorboard", default_hp_metric=False)],
        log_every_n_steps=min(10, epoch_steps),
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=out,
    )


def _begin(out: Path, resume: bool) -> None:
    # Only the first process checks, because the others may already see the files that it wrote.
    if not resume and is_first_process() and (out / CONFIG).exists():
        raise TrainingError(f"{out} already contains a run; resume it (--resume) or choose another folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{out} cannot be written: {error.strerror}.") from None


def _say(console: Console, sentence: str) -> None:
    if is_first_process():
        console.print(sentence, highlight=False, soft_wrap=True)


def _epoch_steps(config: Config, data: TrainingData) -> int:
    if config.budget.epoch_steps:
        return config.budget.epoch_steps
    machines, optimisation = config.machines, config.optimisation
    per_step = optimisation.batch * optimisation.accumulate * machines.device_count() * machines.node_count()
    return 200 if data.length is None else math.ceil(data.length / per_step)


def _last_step(config: Config, epoch_steps: int) -> int | None:
    budget = config.budget
    ends = [budget.steps, budget.epochs * epoch_steps if budget.epochs else None]
    return min((end for end in ends if end), default=None)


def _check_rates(config: Config, network: nn.Module) -> None:
    for part in config.optimisation.rates:
        if not any(name.startswith(part) for name, _ in network.named_parameters()):
            children = ", ".join(name for name, _ in network.named_children())
            raise TrainingError(
                f"optimisation.rates: no weight of the network begins with {part!r}; "
                f"it consists of {children}."
            )


def _type_weights(data: TrainingData) -> list[float] | None:
    """Return weights inversely proportional to each type's frequency, with a mean of 1 over the images."""
    if data.type_counts is None:
        return None
    present = sum(count > 0 for count in data.type_counts)
    total = sum(data.type_counts)
    return [total / (present * count) if count else 0.0 for count in data.type_counts]


@contextmanager
def _explained(config: Config) -> Iterator[None]:
    """Replace out-of-memory errors by a `TrainingError` that names the settings to change."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise TrainingError(_memory_advice(config)) from None
    except RuntimeError as error:
        if "DefaultCPUAllocator" in str(error):
            raise TrainingError(_memory_advice(config)) from None
        # Linux ends a process in these ways when memory or shared memory is exhausted.
        if "DataLoader worker" in str(error) and any(how in str(error) for how in ("Killed", "Bus error")):
            raise TrainingError(
                "A process that prepares images was killed because memory ran out; lower machines.workers, "
                f"which is {config.machines.workers}."
            ) from None
        raise


def _memory_advice(config: Config) -> str:
    optimisation = config.optimisation
    sides = {
        **({"dataset.crop": config.dataset.crop} if config.dataset else {}),
        **({"synthetic.size": config.synthetic.size} if config.synthetic else {}),
    }
    key, side = " and ".join(sides), max(sides.values())
    half = max(optimisation.batch // 2, 1)
    advice = f"optimisation.batch={half} optimisation.accumulate={2 * optimisation.accumulate}"
    if optimisation.precision != "bf16-mixed":
        advice += ", optimisation.precision=bf16-mixed"
    return (
        f"There is not enough memory for {optimisation.batch} images of {side} pixels at a time; "
        f"try {advice}, or a smaller {key}."
    )
