"""`tamperscope calibrate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tamperscope.commands.output import table

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("bundle", type=_FOLDER)
@click.option("--photos", type=_FOLDER, required=True, help="Authentic photos; sub-folders count.")
@click.option("--object-masks", type=_FOLDER, help="Masks of objects in the photos.")
@click.option("--held-out", is_flag=True, help="Use only the photos that a training on this folder held out.")
@click.option("--quantize", is_flag=True, help="Add 8-bit integer graphs first, which are faster.")
@click.option("--version", help="New version of the bundle.")
@click.option("--count", default=1000, show_default=True, type=click.IntRange(20), help="Images to make.")
@click.option("--seed", default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def calibrate(
    bundle: Path,
    photos: Path,
    object_masks: Path | None,
    held_out: bool,
    quantize: bool,
    version: str | None,
    count: int,
    seed: int,
    as_json: bool,
) -> None:
    """Choose the mask's threshold and the verdicts' operating points of BUNDLE anew.

    They come from forgeries made of photos, and from such photos left alone; take photos like those you will
    analyse, none of which was trained on. An imported pair of checkpoints gives verdicts only after this.
    Prints how the bundle does on these images. Needs the extra `train`: pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope calibrate model/imported-1234 --photos photos/
    """
    from dataclasses import asdict

    from tamperscope.synthesis import PhotoLibrary
    from tamperscope.training.release import calibrate as choose

    library = PhotoLibrary.open(photos, object_masks, held_out=held_out or None)
    figures = asdict(choose(bundle, library, version=version, quantised=quantize, count=count, seed=seed))
    if as_json:
        click.echo(json.dumps(figures))
        return
    shown = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in figures.values()]
    table([name.replace("_", " ") for name in figures], [shown])
