"""`python -m tamperscope.training`: train the joint network on forgeries made from a folder of photos."""

from __future__ import annotations

from pathlib import Path

import click
import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from tamperscope.network.joint import JointNetwork
from tamperscope.synthesis import PhotoLibrary
from tamperscope.training.data import ForgeryStream
from tamperscope.training.joint import JointRecipe, JointTraining

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--photos", type=_FOLDER, required=True, help="Folder with one folder of photos per collection."
)
@click.option("--object-masks", type=_FOLDER, help="Folder with <collection>/<photo>*.png, white = object.")
@click.option("--imagenet", type=_FILE, help="ImageNet ResNet-50 weights (.safetensors) to start from.")
@click.option("--start", type=_FILE, help="Network weights (.pth) of an earlier run to start from.")
@click.option("--minutes", type=float, required=True, help="Time budget; 0 writes the untrained network.")
@click.option(
    "--size", default=JointRecipe.size, show_default=True, help="Side of a training crop in pixels."
)
@click.option("--batch", default=JointRecipe.batch, show_default=True)
@click.option("--trunk-rate", default=JointRecipe.trunk_rate, show_default=True)
@click.option("--fresh-rate", default=JointRecipe.fresh_rate, show_default=True)
@click.option("--seed", default=JointRecipe.seed, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes that make forgeries.")
@click.option(
    "--precision", default="32-true", show_default=True, help="bf16-mixed where the hardware has it."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for checkpoints and log.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
def main(
    photos: Path,
    object_masks: Path | None,
    imagenet: Path | None,
    start: Path | None,
    minutes: float,
    size: int,
    batch: int,
    trunk_rate: float,
    fresh_rate: float,
    seed: int,
    workers: int,
    precision: str,
    out: Path,
    resume: bool,
) -> None:
    """Train the joint network on forgeries made from PHOTOS; writes OUT/network.pth."""
    lightning.seed_everything(seed)
    recipe = JointRecipe(minutes, size, batch, trunk_rate, fresh_rate, seed=seed)
    network = JointNetwork()
    if imagenet:
        network.load_imagenet(imagenet)
    if start:
        network.load_state_dict(torch.load(start, weights_only=True))
    if minutes > 0:
        library = PhotoLibrary.open(photos, object_masks)
        network = _train(
            network, recipe, library, workers=workers, precision=precision, out=out, resume=resume
        )
    out.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), out / "network.pth")
    click.echo(f"wrote {out / 'network.pth'}", err=True)


def _train(
    network: JointNetwork,
    recipe: JointRecipe,
    library: PhotoLibrary,
    *,
    workers: int,
    precision: str,
    out: Path,
    resume: bool,
) -> JointNetwork:
    # Before the workers are forked, so that each finds the list ready.
    click.echo(f"{len(library.photos)} photos, {len(library.with_faces)} with a face", err=True)
    loader = DataLoader(
        ForgeryStream(library, recipe.size, recipe.seed),
        batch_size=recipe.batch,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
    )
    # A clock drives the schedule, so steps and epochs have no end of their own.
    trainer = lightning.Trainer(
        max_epochs=-1,
        precision=precision,
        accelerator="auto",
        devices=1,
        gradient_clip_val=1.0,
        callbacks=[
            EMAWeightAveraging(decay=0.99),
            ModelCheckpoint(out, filename="last", every_n_train_steps=50, enable_version_counter=False),
        ],
        logger=CSVLogger(out, name="log", flush_logs_every_n_steps=10),
        log_every_n_steps=10,
        default_root_dir=out,
    )
    training = JointTraining(network, recipe)
    checkpoint = out / "last.ckpt"
    trainer.fit(training, loader, ckpt_path=checkpoint if resume and checkpoint.exists() else None)
    return training.network


if __name__ == "__main__":
    main()
