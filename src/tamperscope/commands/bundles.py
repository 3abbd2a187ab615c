"""`tamperscope import-checkpoint` and `tamperscope models`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from tamperscope.commands.options import FOLDER, plain_option
from tamperscope.commands.output import UNREADABLE, complain, table, tell
from tamperscope.errors import BundleError
from tamperscope.report import ManipulationType

_SIZE = click.IntRange(32, 2048)


@click.command("import-checkpoint")
@click.option(
    "--segmentation",
    required=True,
    type=click.Path(path_type=Path),
    help="Checkpoint of the segmentation network: DeepLabV3+ or U-Net, for example.",
)
@click.option(
    "--classification",
    required=True,
    type=click.Path(path_type=Path),
    help="Checkpoint of the classification network: ResNet or EfficientNet.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option("--segmentation-encoder", metavar="NAME", help="Its encoder. [default: recognised]")
@click.option("--classification-encoder", metavar="NAME", help="Its encoder. [default: recognised]")
@click.option(
    "--class-order",
    metavar="TYPE,TYPE,TYPE,TYPE",
    default=",".join(ManipulationType),
    show_default=True,
    help="Types of the classification network's classes, in its order.",
)
@click.option(
    "--segmentation-size",
    type=_SIZE,
    metavar="PIXELS",
    help="Scale each image to a square of this side for the segmentation, as in its training. "
    "[default: its own resolution]",
)
@click.option("--classification-size", type=_SIZE, metavar="PIXELS", help="The same for the classification.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
def import_checkpoint(
    segmentation: Path,
    classification: Path,
    out: Path,
    segmentation_encoder: str | None,
    classification_encoder: str | None,
    class_order: str,
    segmentation_size: int | None,
    classification_size: int | None,
    overwrite: bool,
) -> None:
    """Make a bundle from two PyTorch checkpoints.

    The networks are recognised by their weights. Needs the extra `train`: pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope import-checkpoint --segmentation best_deeplabv3_defacto_last.pth \\
          --classification best_resnet50_defacto.pth --out model-mine
      tamperscope serve --model model-mine

    Networks that were trained on images scaled to a square give the answers that you know with the size of
    that square: --segmentation-size 512 --classification-size 224.
    """
    from tamperscope.network.checkpoints import PairOptions, import_checkpoints

    options = PairOptions(
        segmentation_encoder,
        classification_encoder,
        tuple(name.strip() for name in class_order.split(",")),
        segmentation_size,
        classification_size,
    )
    bundle = import_checkpoints(segmentation, classification, out, options=options, overwrite=overwrite)
    for network in bundle.networks:
        architecture = network.architecture
        tell(f"{network.name}: {architecture.name} with the encoder {architecture.encoder}")
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
