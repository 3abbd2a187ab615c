"""`tamperscope train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click


@click.command()
@click.argument("task", type=click.Choice(["segmentation", "classification", "joint"]))
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option(
    "--config",
    help="YAML file, or a built-in config: defacto-segmentation, defacto-classification, synthetic-joint, "
    "continued-joint.",
)
@click.option(
    "--init",
    type=click.Path(exists=True, path_type=Path),
    help="Bundle folder, checkpoint or ImageNet weights to start from.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the run. [default: runs/TASK]"
)
@click.option("--resume", is_flag=True, help="Resume the run in --out with its own config.")
def train(
    task: str,
    overrides: Sequence[str],
    config: str | None,
    init: Path | None,
    out: Path | None,
    resume: bool,
) -> None:
    """Train a network on forgeries made on the fly, or on a dataset.

    TASK is what the network predicts: the mask (segmentation), the manipulation type (classification), or
    mask, type and score together (joint). Every setting of the config can also be set on the command line.
    Needs the extra `train`: pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope train joint --config synthetic-joint --init model synthetic.photos=photos
      tamperscope train joint --resume budget.minutes=120
      tamperscope train segmentation --config defacto-segmentation dataset.path=DEFACTO

    The folder of the run then holds best.pth, the curves (CSV, TensorBoard) and pictures of predictions. To
    make a bundle, pass a joint network to `tamperscope release`, or a segmentation and a classification
    network to `tamperscope import-checkpoint`.
    """
    if resume == bool(config):
        raise click.UsageError("Give either --config to start a new run, or --resume to continue one.")
    if init:
        if resume:
            raise click.UsageError("A resumed run continues from its own weights; leave out --init.")
        overrides = (*overrides, f"network.init={init}")

    import logging

    from tamperscope.training import run
    from tamperscope.training.config import read_config

    out = out or Path("runs") / task
    settings = run.resumed_config(out, overrides) if resume else read_config(config or "", overrides)
    # Lightning logs which hardware it found and which services it recommends.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    best = run.train(task, settings, out, resume=resume)
    if run.is_first_process():
        click.echo(best)
