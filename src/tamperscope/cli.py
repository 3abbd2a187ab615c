"""The command line: `tamperscope serve | analyze | import-checkpoint | models`.

Exit codes: 0 all is well, 1 a finding that the caller asked to fail on, 2 wrong use, 3 an input could not
be read. Answers go to stdout, everything about the run to stderr. What takes long to import is imported
by the command that needs it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tamperscope import __version__
from tamperscope.errors import BundleError, ImageError, TamperscopeError
from tamperscope.report import Report, Verdict
from tamperscope.server.settings import TABLE, Settings

if TYPE_CHECKING:
    from tamperscope.images import Image

FINDING, WRONG_USE, UNREADABLE = 1, 2, 3


class _Commands(click.Group):
    """Says our own errors in one sentence on stderr, instead of a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TamperscopeError as error:
            _complain(str(error))
            ctx.exit(WRONG_USE)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tamperscope")
def main() -> None:
    """Find out whether a picture was manipulated, where, and how."""


def _settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each setting that is not a secret."""
    for setting in reversed(TABLE):
        if setting.secret_in:
            continue
        sources = f"[env var: {setting.variables[0]}; default: {setting.default or 'none'}]"
        command = click.option(
            setting.option, setting.name, metavar="VALUE", help=f"{setting.help} {sources}"
        )(command)
    return command


@main.command()
@_settings_options
def serve(**options: str | None) -> None:
    """Answer over HTTP until Ctrl-C or SIGTERM.

    \b
    Example:
      tamperscope serve --port 8000
      curl -F image=@photo.jpg http://127.0.0.1:8000/classify

    With --tunnel ngrok the server also gets a public address; the token of the ngrok account is taken
    from the environment variable NGROK_TOKEN.
    """
    from tamperscope.server.serve import run

    run(Settings.read(os.environ, options), say=click.echo)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per image and line.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write mask, overlay and heatmap as PNG, and the report as JSON, into this folder.",
)
@click.option("--model", type=click.Path(path_type=Path), help="Bundle folder. [default: what comes along]")
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice([verdict.value for verdict in Verdict]),
    help="Exit with 1 when an image gets this verdict; may be given more than once.",
)
@click.pass_context
def analyze(
    ctx: click.Context,
    files: Sequence[Path],
    as_json: bool,
    out: Path | None,
    model: Path | None,
    fail_on: Sequence[str],
) -> None:
    """Say whether, where and how each FILE was altered.

    \b
    Example:
      tamperscope analyze photo.jpg other.png --out findings
      tamperscope analyze incoming/*.jpg --json --fail-on manipulated

    A file that cannot be read is named on stderr, the others are analysed, and the exit code is 3.
    """
    from tamperscope.detector import Detector
    from tamperscope.images import read_image

    settings = Settings.read(os.environ)
    detector = Detector.load(
        model or settings.model,
        limits=settings.limits,
        pixel_budget=settings.pixel_budget,
        threads=settings.threads,
    )
    findings: list[_Finding] = []
    with click.progressbar(
        files, label="Analysing", file=sys.stderr, hidden=len(files) < 2 or not sys.stderr.isatty()
    ) as progress:
        for file, stem in zip(progress, _distinct_stems(files), strict=True):
            try:
                image = read_image(file, settings.limits)
                finding = _Finding(file, detector.analyze(image))
            except (ImageError, OSError) as error:
                _complain(f"{file}: {_sentence(error)}")
                continue
            findings.append(finding)
            if out:
                _write(out, stem, finding, image)
            if as_json:
                click.echo(json.dumps(finding.to_json()))
    if not as_json and findings:
        _print_table(findings)
    if len(findings) < len(files):
        ctx.exit(UNREADABLE)
    if any(finding.report.verdict in fail_on for finding in findings):
        ctx.exit(FINDING)


@main.command("import-checkpoint")
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
    help="Checkpoint of the ResNet-50 classification network.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is already there.")
def import_checkpoint(segmentation: Path, classification: Path, out: Path, overwrite: bool) -> None:
    """Make a bundle of two PyTorch checkpoints.

    Needs the extra `train`: pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope import-checkpoint --segmentation best_deeplabv3_defacto_last.pth \\
          --classification best_resnet50_defacto.pth --out model-mine
      tamperscope serve --model model-mine
    """
    from tamperscope.network.checkpoints import import_checkpoints

    bundle = import_checkpoints(segmentation, classification, out, overwrite=overwrite)
    click.echo(f"{bundle.path} is ready; serve it with: tamperscope serve --model {bundle.path}")


@main.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER...]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per bundle and line.")
@click.pass_context
def models(ctx: click.Context, folders: Sequence[Path], as_json: bool) -> None:
    """List bundles and verify their checksums.

    These are the default bundle and those in each FOLDER.

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
            _complain(str(error))
    for model in listed if as_json else []:
        click.echo(json.dumps(asdict(model)))
    if not as_json and listed:
        _table(
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
        )
    if len(listed) < len(paths):
        ctx.exit(UNREADABLE)


@dataclass(frozen=True)
class _Finding:
    file: Path
    report: Report

    def to_json(self) -> dict[str, Any]:
        return {"file": str(self.file), **self.report.to_json()}


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


def _distinct_stems(files: Sequence[Path]) -> list[str]:
    """Return a name for the results of each file; where two would be equal, the later one gets a number."""
    stems: list[str] = []
    for file in files:
        stem, number = file.stem, 1
        while stem in stems:
            number += 1
            stem = f"{file.stem}-{number}"
        stems.append(stem)
    return stems


def _write(folder: Path, stem: str, finding: _Finding, image: Image) -> None:
    from tamperscope import rendering

    report = finding.report
    pictures = {
        "mask": rendering.mask_image(report.mask),
        "overlay": rendering.overlay(image.pixels, report.mask),
        "heatmap": rendering.heatmap(report.heatmap),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            (folder / f"{stem}-{name}.png").write_bytes(rendering.encode_png(picture))
        (folder / f"{stem}.json").write_text(json.dumps(finding.to_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(
            f"{folder} cannot be written: {error.strerror}.", param_hint="--out"
        ) from None


def _print_table(findings: Sequence[_Finding]) -> None:
    _table(
        ("File", "Verdict", "Score", "Type", "Area", "Notes"),
        [
            (
                str(finding.file),
                finding.report.verdict.value,
                f"{finding.report.score:.2f}",
                finding.report.type.value if finding.report.verdict is not Verdict.AUTHENTIC else "",
                f"{finding.report.mask.mean():.1%}",
                "; ".join(finding.report.notes),
            )
            for finding in findings
        ],
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As Text, because a file name in square brackets is not markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{(error.strerror or 'it cannot be read').capitalize()}."
    return str(error)


def _complain(sentence: str) -> None:
    click.echo(sentence, err=True)
