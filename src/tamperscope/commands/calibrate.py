"""`tamperscope calibrate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tamperscope.commands.options import FOLDER, held_out_images_options
from tamperscope.commands.output import table


@click.command()
@click.argument("bundle", type=FOLDER)
@click.option("--photos", type=FOLDER, required=True, help="Authentic photos, including sub-folders.")
@click.option("--object-masks", type=FOLDER, help="Masks of objects in the photos.")
@click.option(
    "--authentic", type=FOLDER, help="Authentic files to analyse as they are, including sub-folders."
)
@click.option("--held-out", is_flag=True, help="Use only photos that training on this folder holds out.")
@click.option("--quantize", is_flag=True, help="First add 8-bit integer graphs, which are faster.")
@click.option("--version", help="New version of the bundle.")
@held_out_images_options
def calibrate(
    bundle: Path,
    photos: Path,
    object_masks: Path | None,
    authentic: Path | None,
    held_out: bool,
    quantize: bool,
    version: str | None,
    count: int,
    seed: int,
    as_json: bool,
) -> None:
    """Recalibrate BUNDLE: choose its mask threshold and the operating points of its verdicts.

    They are chosen on forgeries made from photos, on unaltered photos, and on the files of --authentic, which
    are analysed as they are: give files like those that you receive. Use photos like those you will
    analyse, and none that the networks were trained on. An imported pair of checkpoints gives verdicts only
    after calibration. The bundle's metrics on these images are printed. Needs the extra `train`:
    pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope calibrate model/imported-1234 --photos photos/
    """
    from dataclasses import asdict

    from tamperscope.datasets.reading import images_below
    from tamperscope.synthesis import PhotoLibrary
    from tamperscope.training.release import calibrate as choose

    library = PhotoLibrary.open(photos, object_masks, held_out=held_out or None)
    files = images_below(authentic) if authentic else ()
    metrics = asdict(
        choose(bundle, library, tuple(files), version=version, quantised=quantize, count=count, seed=seed)
    )
    if as_json:
        click.echo(json.dumps(metrics))
        return
    shown = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in metrics.values()]
    table([name.replace("_", " ") for name in metrics], [shown])
