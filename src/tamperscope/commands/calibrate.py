"""`tamperscope calibrate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tamperscope.commands.options import FOLDER, authentic_option, held_out_images_options
from tamperscope.commands.output import counted, table, tell


@click.command()
@click.argument("bundle", type=FOLDER)
@click.option("--photos", type=FOLDER, required=True, help="Authentic photos, including sub-folders.")
@click.option("--object-masks", type=FOLDER, help="Masks of objects in the photos.")
@authentic_option
@click.option(
    "--feedback",
    "feedback_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Corrections of verdicts, one JSON object a line, as GET /v1/feedback answers them.",
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
    feedback_file: Path | None,
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

    The corrections of --feedback move the coefficients of the score. They do not move the operating points: a
    set of wrong verdicts says nothing about how often verdicts are wrong. Corrections that were measured by
    other networks are left out.

    \b
    Example:
      tamperscope calibrate model-mine --photos photos/ --authentic files/
      curl -s http://127.0.0.1:5000/v1/feedback > feedback.jsonl
      tamperscope calibrate model-mine --photos photos/ --feedback feedback.jsonl
    """
    from dataclasses import asdict

    from tamperscope.datasets.reading import images_below
    from tamperscope.feedback import read_feedback
    from tamperscope.synthesis import PhotoLibrary
    from tamperscope.training.release import calibrate as choose

    library = PhotoLibrary.open(photos, object_masks, held_out=held_out or None)
    files = images_below(authentic) if authentic else ()
    feedback = read_feedback(feedback_file) if feedback_file else ()
    metrics = asdict(
        choose(
            bundle,
            library,
            tuple(files),
            feedback,
            version=version,
            quantised=quantize,
            count=count,
            seed=seed,
        )
    )
    if not feedback_file:
        metrics = {name: value for name, value in metrics.items() if not name.startswith("corrections")}
    elif left_out := len(feedback) - metrics["corrections"]:
        tell(
            f"{counted(left_out, 'correction')} left out: measured by other networks, or of a screenshot or "
            "drawing."
        )
    if as_json:
        click.echo(json.dumps(metrics))
        return
    shown = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in metrics.values()]
    table([name.replace("_", " ") for name in metrics], [shown])
