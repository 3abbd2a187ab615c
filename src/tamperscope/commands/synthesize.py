"""`tamperscope synthesize`."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tamperscope.commands.options import FOLDER
from tamperscope.commands.output import complain
from tamperscope.errors import MissingExtraError
from tamperscope.report import ManipulationType

if TYPE_CHECKING:
    from rich.progress import Progress

    from tamperscope.synthesis.dataset import DatasetRecipe

_PREVIEWED = 36


@click.command()
@click.argument("photos", type=FOLDER)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to."
)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Number of images to make.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--object-masks",
    type=FOLDER,
    help="Folder of object masks: the same subfolders, with <photo>.png or <photo>__*.png, white inside.",
)
@click.option(
    "--size",
    type=click.IntRange(64, 4096),
    default=512,
    show_default=True,
    help="Width and height of an image in pixels.",
)
@click.option(
    "--layout",
    type=click.Choice(["folder", "defacto"]),
    default="folder",
    show_default=True,
    help="Layout of the files: images/, masks/ and authentic/, or that of DEFACTO, with TIFF images.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Number of processes.  [default: one per core]")
@click.option(
    "--preview",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Also write a contact sheet of the first {_PREVIEWED} images.",
)
@click.option(
    "--types",
    default=",".join(kind.value for kind in ManipulationType),
    show_default=True,
    help="Manipulation types to make, separated by commas.",
)
@click.option(
    "--authentic-share",
    type=click.FloatRange(0, 1),
    default=0.4,
    show_default=True,
    help="Share of images that stay authentic.",
)
@click.option(
    "--format",
    "image_format",
    type=click.Choice(["jpeg", "png"]),
    default="jpeg",
    show_default=True,
    help="jpeg keeps the file that the last compression wrote, usually a JPEG; png saves its pixels as PNG.",
)
@click.option("--held-out", is_flag=True, help="Use the tenth of each folder that is otherwise held out.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def synthesize(
    photos: Path,
    out: Path,
    count: int,
    seed: int,
    object_masks: Path | None,
    size: int,
    layout: str,
    workers: int | None,
    preview: Path | None,
    types: str,
    authentic_share: float,
    image_format: str,
    held_out: bool,
    as_json: bool,
) -> None:
    """Make forged and authentic images, with masks, from a folder of PHOTOS.

    PHOTOS holds photos, or folders of photos at any depth. The same seed gives the same files, whatever the
    number of workers. Existing images are not made again: to resume a run that was stopped, repeat it.
    Needs the extra `train`: pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope synthesize photos --out forgeries -n 10000 --seed 7 --preview sheet.png
      tamperscope synthesize photos --out test -n 500 --held-out --types splicing,copymove

    A photo that cannot be used is named on stderr and skipped.
    """
    try:
        from tamperscope.synthesis import Mix
        from tamperscope.synthesis.dataset import DatasetRecipe, write_dataset
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Making forgeries needs {error.name}: pip install 'tamperscope[train]'."
        ) from None
    shares = Mix().types
    mix = Mix(authentic=authentic_share, types={kind: shares[kind] for kind in _parse_types(types)})
    recipe = DatasetRecipe(
        photos, object_masks, held_out, out, layout, image_format == "jpeg", seed, size, mix
    )
    with _progress() as progress:
        task = progress.add_task("Forging", total=count)
        # `completed` includes images of an earlier run. They count for the bar, not for the speed.
        made = write_dataset(
            recipe,
            count,
            workers or os.cpu_count() or 1,
            done=lambda number: progress.update(task, completed=number),
            skip=lambda name, why: complain(f"{name} is skipped: {why.rstrip('.')}."),
        )
    if preview:
        _write_preview(recipe, count, preview)
    _summarise(out, made, as_json=as_json)


def _parse_types(types: str) -> list[ManipulationType]:
    try:
        return [ManipulationType(name.strip()) for name in types.split(",")]
    except ValueError:
        known = ", ".join(kind.value for kind in ManipulationType)
        raise click.BadParameter(
            f"{types!r} has an unknown type; the types are {known}.", param_hint="--types"
        ) from None


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: object) -> Text:
            speed = getattr(task, "speed", None)
            return Text(f"{speed:.1f} images/s" if speed else "")

    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _write_preview(recipe: DatasetRecipe, count: int, preview: Path) -> None:
    from tamperscope.synthesis.preview import contact_sheet

    library = recipe.open_library()
    sheet = contact_sheet([recipe.make(library, number) for number in range(min(count, _PREVIEWED))])
    try:
        preview.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(preview)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{preview} cannot be written: {error}.", param_hint="--preview") from None


def _summarise(out: Path, made: int, *, as_json: bool) -> None:
    kinds: Counter[str] = Counter()
    with (out / "forgeries.jsonl").open(encoding="utf-8") as lines:
        kinds.update(json.loads(line)["type"] or "authentic" for line in lines)
    if as_json:
        click.echo(json.dumps({"out": str(out), "made": made, "images": dict(sorted(kinds.items()))}))
        return
    parts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    click.echo(f"{out} holds {kinds.total()} images, {made} of them new: {parts}")
