"""`python -m tamperscope.evaluation`: measure a bundle on images whose truth is known."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tamperscope.datasets import read_folder
from tamperscope.detector import Detector
from tamperscope.evaluation.benchmark import Summary, evaluate, summarise, write_results

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--bundle", type=_FOLDER, help="The bundle to measure; the default one when left out.")
@click.option("--data", type=_FOLDER, required=True, help="images/, masks/, authentic/, or folders of these.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure to this JSON file."
)
def main(bundle: Path | None, data: Path, out: Path | None) -> None:
    """Measure a bundle on DATA, at the threshold it ships with.

    \b
    Example: python -m tamperscope.evaluation --data bench --out results.json
    """
    samples = read_folder(data)
    detector = Detector.load(bundle)
    stderr = Console(stderr=True)
    progress = track(
        evaluate(detector, samples), total=len(samples), console=stderr, disable=not stderr.is_terminal
    )
    rows = list(progress)
    Console(width=120).print(_table(summarise(rows)))
    if out:
        write_results(rows, dataclasses.asdict(detector.bundle.identity), out)


def _table(lines: list[Summary]) -> Table:
    table = Table()
    for field in dataclasses.fields(Summary):
        table.add_column(field.name.replace("_", " "), justify="left" if field.name == "set" else "right")
    for line in lines:
        table.add_row(*(_cell(value) for value in dataclasses.astuple(line)))
    return table


def _cell(value: str | int | float) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return str(value)


if __name__ == "__main__":
    main()
