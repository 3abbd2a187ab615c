"""`tamperscope release`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tamperscope.commands.options import FOLDER, authentic_option, held_out_images_options
from tamperscope.commands.output import table


@click.command()
@click.argument("run", type=FOLDER)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the new bundle."
)
@click.option("--photos", type=FOLDER, help="The photos used in training. [default: as in the run's config]")
@click.option("--object-masks", type=FOLDER, help="The object masks. [default: as in the run's config]")
@authentic_option
@click.option(
    "--mean-with",
    type=click.Path(exists=True, path_type=Path),
    help="Bundle or checkpoint to average the weights with, usually that from which training started.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Share of the run's weights in that mean.",
)
@click.option("--version", default="1.0.0", show_default=True, help="Version of the bundle.")
@held_out_images_options
def release(
    run: Path,
    out: Path,
    photos: Path | None,
    object_masks: Path | None,
    authentic: Path | None,
    mean_with: Path | None,
    share: float,
    version: str,
    count: int,
    seed: int,
    as_json: bool,
) -> None:
    """Make a calibrated bundle from the joint network of the training run in the folder RUN.

    Threshold and calibration are chosen on forgeries made from photos that were held out from training. The
    bundle's metrics on these images are printed. Needs the extra `train`: pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope release runs/joint --out model-mine
      tamperscope serve --model model-mine

    A README.md in the bundle's folder, the model card, becomes part of the bundle.
    """
    from dataclasses import asdict

    from tamperscope.datasets.reading import images_below
    from tamperscope.synthesis import PhotoLibrary
    from tamperscope.training.callbacks import BEST
    from tamperscope.training.release import release as make_bundle
    from tamperscope.training.run import resumed_config

    synthetic = resumed_config(run).synthetic
    if photos is None and synthetic:
        photos, object_masks = synthetic.photos, object_masks or synthetic.object_masks
    if photos is None:
        raise click.UsageError("The run was trained on a dataset. Give --photos to calibrate the bundle on.")
    held_out = PhotoLibrary.open(photos, object_masks, held_out=True)
    metrics = asdict(
        make_bundle(
            run / BEST,
            held_out,
            out,
            tuple(images_below(authentic)) if authentic else (),
            start=mean_with,
            share=share,
            version=version,
            count=count,
            seed=seed,
        )
    )
    if as_json:
        click.echo(json.dumps(metrics))
        return
    shown = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in metrics.values()]
    table([name.replace("_", " ") for name in metrics], [shown])
