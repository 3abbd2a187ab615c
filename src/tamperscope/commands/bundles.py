"""`tamperscope import-checkpoint` and `tamperscope models`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from tamperscope.commands.options import FOLDER, plain_option
from tamperscope.commands.output import UNREADABLE, complain, table
from tamperscope.errors import BundleError


@click.command("import-checkpoint")
@click.option(
    "--segmentation",
    required=True,
    type=click.Path(path_type=Path),
    help="Checkpoint of the DeepLabV3+ segmentation network.",
)
@click.option(
    "--classification",
    required=True,
    type=click.Path(path_type=Path),
    help="Checkpoint of the ResNet classification network.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option(
    "--encoder",
    default="resnet50",
    show_default=True,
    help="Encoder of a network whose checkpoint does not name it. Checkpoints written by `train` do.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
def import_checkpoint(
    segmentation: Path, classification: Path, out: Path, encoder: str, overwrite: bool
) -> None:
    """Make a bundle from two PyTorch checkpoints.

    Needs the extra `train`: pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope import-checkpoint --segmentation best_deeplabv3_defacto_last.pth \\
          --classification best_resnet50_defacto.pth --out model-mine
      tamperscope serve --model model-mine
    """
    from tamperscope.network.checkpoints import import_checkpoints

    bundle = import_checkpoints(segmentation, classification, out, encoder=encoder, overwrite=overwrite)
    click.echo(f"{bundle.path} is ready. Serve it with: tamperscope serve --model {bundle.path}")


@click.command()
@click.argument("folders", nargs=-1, type=FOLDER, metavar="[FOLDER...]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per bundle, one per line.")
@plain_option
@click.pass_context
def models(ctx: click.Context, folders: Sequence[Path], as_json: bool) -> None:
    """List bundles and verify their checksums.

    Lists the default model and the bundles in each FOLDER.

    \b
    Example:
      tamperscope models
      tamperscope models . --json

    A bundle that is incomplete or altered is named on stderr, and the exit code is 3.
    """
    from tamperscope.bundle import default_bundle_path, list_bundles

    searched = [default_bundle_path(), *folders]
    paths = list(dict.fromkeys(path.resolve() for folder in searched for path in list_bundles(folder)))
    if not paths:
        raise BundleError(f"There is no bundle in {', '.join(map(str, searched))}.")
    listed: list[_Listed] = []
    for path in paths:
        try:
            listed.append(_listed(path))
        except BundleError as error:
            complain(str(error))
    for model in listed if as_json else []:
        click.echo(json.dumps(asdict(model)))
    if not as_json and listed:
        table(
            ("Bundle", "Name", "Version", "MB", "Networks", "Calibrated"),
            [
                (
                    model.path,
                    model.name,
                    model.version,
                    f"{model.bytes / 1e6:.1f}",
                    ", ".join(model.networks),
                    "yes" if model.calibrated else "no",
                )
                for model in listed
            ],
            path_first=True,
        )
    if len(listed) < len(paths):
        ctx.exit(UNREADABLE)


@dataclass(frozen=True)
class _Listed:
    path: str
    name: str
    version: str
    bytes: int
    networks: tuple[str, ...]
    calibrated: bool


def _listed(path: Path) -> _Listed:
    from tamperscope.bundle import Bundle

    bundle = Bundle.load(path)
    return _Listed(
        path=str(path),
        name=bundle.name,
        version=bundle.version,
        bytes=sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
        networks=tuple(network.name for network in bundle.networks),
        calibrated=bundle.calibration is not None,
    )
