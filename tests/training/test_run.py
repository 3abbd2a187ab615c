"""Whole training runs as a user sees them: files, curves, interruption and resumption."""

from __future__ import annotations

import csv
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from rich.console import Console
from torch import nn

from tamperscope.bundle import Architecture
from tamperscope.errors import TrainingError
from tamperscope.network.architectures import build
from tamperscope.network.checkpoints import read_segmentation
from tamperscope.network.start import start_from
from tamperscope.training.config import Config, read_config
from tamperscope.training.module import Training
from tamperscope.training.run import resumed_config, train


def quiet() -> Console:
    return Console(file=StringIO())


def curve(run: Path, table: str = "training") -> list[dict[str, str]]:
    with (run / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train("segmentation", read_config(config_file), out, console=quiet())
    return out


def test_a_run_leaves_weights_curves_and_pictures(run: Path) -> None:
    best = read_segmentation(run / "best.pth")
    assert best.architecture == Architecture("deeplabv3plus", "mobilenet_v2", 1)
    assert [row["step"] for row in curve(run)] == ["2", "5"]
    assert [row["step"] for row in curve(run, "validation")] == ["2", "5"]
    assert {"f1", "iou", "best_f1", "auc"} <= curve(run, "validation")[0].keys()
    assert list((run / "tensorboard").glob("events.*"))
    sheet = np.asarray(PIL.Image.open(run / "predictions" / "step-000006.png"))
    assert sheet.std() > 20
    assert resumed_config(run).budget.steps == 6


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_network_of_the_default_model_is_trained(
    config_file: Path, tmp_path: Path, precision: str
) -> None:
    config = read_config(config_file, ["budget.steps=2", f"optimisation.precision={precision}"])
    best = train("joint", config, tmp_path, console=quiet())
    losses = curve(tmp_path)[0]
    assert all(0 < float(losses[name]) < 10 for name in ("bce", "dice", "score"))
    architecture = Architecture("joint", "mobilenet_v2", 1)
    network = build(architecture)
    assert len(start_from(network, architecture, best)) == len(network.state_dict())


def in_a_process(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=600
    )


def test_a_killed_run_resumes_with_the_same_curve(config_file: Path, tmp_path: Path) -> None:
    # Processes of their own: earlier tests leave other numbers of threads and other rounding behind, and
    # batches of two small crops amplify that.
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    # The killed run uses a worker and the uninterrupted one none, which must not make a difference.
    script = f"""
import os, signal
from pathlib import Path
from tamperscope.training.config import read_config
from tamperscope.training.module import Training
from tamperscope.training.run import resumed_config, train

killed = Path({str(killed)!r})
train("segmentation", read_config({str(config_file)!r}), Path({str(whole)!r}))

step = Training.training_step
def killed_at_the_fifth(self, batch, index):
    if self.trainer.global_step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)

Training.training_step = killed_at_the_fifth
train("segmentation", read_config({str(config_file)!r}, ["machines.workers=1"]), killed)
"""
    done = in_a_process(script)
    assert done.returncode == -9, done.stderr
    assert len(curve(killed)) == 1

    resume = f"""
from pathlib import Path
from tamperscope.training.run import resumed_config, train

train("segmentation", resumed_config(Path({str(killed)!r})), Path({str(killed)!r}), resume=True)
"""
    done = in_a_process(resume)
    assert done.returncode == 0, done.stderr

    assert curve(killed) == curve(whole)
    assert curve(killed, "validation") == curve(whole, "validation")


def test_two_processes_train_as_one_that_accumulates_their_batches(config_file: Path, tmp_path: Path) -> None:
    """This holds only if the processes see different data and their gradients are averaged."""
    overrides = ["budget.steps=2", "budget.epoch_steps=2", "optimisation.ema_decay=null"]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "tamperscope", "train", "segmentation", "--config", str(config_file)),
        *("--out", str(tmp_path / "two"), *overrides),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr

    for name, batches in (("all", 2), ("half", 1)):
        alone = read_config(config_file, [*overrides, f"optimisation.accumulate={batches}"])
        train("segmentation", alone, tmp_path / name, console=quiet())

    # Where a gradient is almost zero, Adam turns rounding errors into whole steps, so the weights differ
    # slightly. The tolerance is relative to a run that sees only half of the data.
    together, all_data, half_data = (
        parameters(tmp_path / name / "best.pth") for name in ("two", "all", "half")
    )
    assert (together - all_data).abs().mean() < 0.2 * (together - half_data).abs().mean()


def parameters(path: Path) -> torch.Tensor:
    """Return the trained parameters as one vector, without batch-norm statistics, which differ by process."""
    return nn.utils.parameters_to_vector(read_segmentation(path).network.parameters()).detach()


def test_a_finished_run_does_not_continue(run: Path) -> None:
    before = curve(run)
    train("segmentation", resumed_config(run), run, resume=True, console=quiet())
    assert curve(run) == before


def test_a_run_is_never_overwritten(run: Path, config: Config) -> None:
    with pytest.raises(TrainingError, match="already contains a run"):
        train("segmentation", config, run, console=quiet())


def test_resuming_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="contains no training run"):
        resumed_config(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_an_out_of_memory_error_says_what_to_change(
    error: Exception, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Training, "training_step", fail)
    with pytest.raises(TrainingError, match=r"2 images of 32 pixels.*batch=1 .*accumulate=2.*bf16.*crop"):
        train("segmentation", config, tmp_path, console=quiet())


def test_a_run_ends_without_improvement(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamperscope.training.callbacks.validation_metrics", lambda _: {"f1": 0.5})
    config = read_config(config_file, ["budget.steps=50", "budget.epoch_steps=1", "budget.patience=1"])
    train("segmentation", config, tmp_path, console=quiet())
    assert len(curve(tmp_path, "validation")) == 2


def test_started_weights_have_their_own_learning_rate(
    run: Path, config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []

    def keep(self: Training, *_: object) -> None:
        rates.append(
            {group["peak"]: len(group["params"]) for group in self.trainer.optimizers[0].param_groups}
        )
        self.trainer.should_stop = True

    monkeypatch.setattr(Training, "on_train_batch_end", keep)
    best = torch.load(run / "best.pth", weights_only=True)["state_dict"]
    encoder = {name: tensor for name, tensor in best.items() if name.startswith("encoder.")}
    torch.save(encoder, tmp_path / "encoder.pth")
    config = read_config(
        config_file, [f"network.init={tmp_path / 'encoder.pth'}", "optimisation.fresh_rate=0.5"]
    )
    train("segmentation", config, tmp_path / "run", console=quiet())
    trained = {name for name, _ in read_segmentation(run / "best.pth").network.named_parameters()}
    started = len(trained & encoder.keys())
    assert rates == [{1e-3: started, 0.5: len(trained) - started}]


def test_parts_of_the_network_have_their_own_rates(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[float, set[str]] = {}

    def keep(self: Training, *_: object) -> None:
        parameters = {id(parameter): name for name, parameter in self.network.named_parameters()}
        for group in self.trainer.optimizers[0].param_groups:
            names[group["peak"]] = {parameters[id(each)].split(".")[0] for each in group["params"]}
        self.trainer.should_stop = True

    monkeypatch.setattr(Training, "on_train_batch_end", keep)
    rates = "optimisation.rates={decoder: 0.25, decoder.aspp: 0.125, encoder: 0}"
    train("segmentation", read_config(config_file, [rates]), tmp_path / "run", console=quiet())
    assert names == {1e-3: {"segmentation_head"}, 0.25: {"decoder"}, 0.125: {"decoder"}}

    wrong = read_config(config_file, ["optimisation.rates={decoders: 0.25}"])
    with pytest.raises(TrainingError, match="begins with 'decoders'; it consists of encoder, decoder"):
        train("segmentation", wrong, tmp_path / "other", console=quiet())


def test_norms_can_keep_their_statistics_while_their_weights_move(
    config_file: Path, run: Path, tmp_path: Path
) -> None:
    start = run / "best.pth"
    before = torch.load(start, weights_only=True)["state_dict"]
    settings = [f"network.init={start}", "optimisation.frozen_norms=true", "optimisation.ema_decay=null"]
    train("segmentation", read_config(config_file, settings), tmp_path / "run", console=quiet())
    after = torch.load(tmp_path / "run" / "best.pth", weights_only=True)["state_dict"]
    moved = {
        name.rsplit(".", 1)[1] for name, tensor in after.items() if not torch.equal(tensor, before[name])
    }
    assert moved == {"weight", "bias"}


def test_the_trunk_can_have_a_loss_of_its_own(config_file: Path, tmp_path: Path) -> None:
    config = read_config(config_file, ["budget.steps=2", "loss.trunk=0.5"])
    train("joint", config, tmp_path, console=quiet())
    losses = {name: float(value) for name, value in curve(tmp_path)[0].items() if value}
    parts = ("bce", "dice", "score", "trunk_bce", "trunk_dice", "trunk_score")
    assert all(0 < losses[name] < 10 for name in parts)
    assert losses["loss"] > sum(losses[name] for name in parts) - 1e-4


def test_a_rate_of_0_freezes_what_the_network_starts_from(
    config_file: Path, run: Path, tmp_path: Path
) -> None:
    start = run / "best.pth"
    settings = ["optimisation.started_rate=0", f"network.init={start}", "optimisation.ema_decay=null"]
    before = torch.load(start, weights_only=True)["state_dict"]
    # The head is new. Everything else comes from the previous run.
    trimmed = tmp_path / "trimmed.pth"
    torch.save({name: tensor for name, tensor in before.items() if "segmentation_head" not in name}, trimmed)
    settings[1] = f"network.init={trimmed}"

    train("segmentation", read_config(config_file, settings), tmp_path / "run", console=quiet())

    after = torch.load(tmp_path / "run" / "best.pth", weights_only=True)["state_dict"]
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved == {"segmentation_head.0.weight", "segmentation_head.0.bias"}
