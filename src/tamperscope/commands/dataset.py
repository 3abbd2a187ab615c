"""`tamperscope dataset`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tamperscope.commands.output import UNREADABLE, complain, table
from tamperscope.report import ManipulationType

if TYPE_CHECKING:
    from tamperscope.datasets import Problem, Sample


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--layout", default="folder", show_default=True, metavar="NAME", help="Layout of the files in DIR."
)
@click.option("--quick", is_flag=True, help="Read names and headers only; decode nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def dataset(ctx: click.Context, folder: Path, layout: str, quick: bool, as_json: bool) -> None:
    """Count the images of a dataset, and name the files that have a problem.

    \b
    Example:
      tamperscope dataset bench
      tamperscope dataset "CASIA 2.0" --layout casia2 --json

    Layouts are folder (images/ with masks/, and authentic/), defacto, casia1, casia2, columbia, coverage,
    nist16, imd2020, comofod and dso1.

    Problems are missing and damaged files, masks that differ in size from their image, and masks that mark
    nothing or more than half of it. Each problem is named on stderr. The exit code is 3 when there are any.
    """
    from rich.console import Console
    from rich.progress import track

    from tamperscope.datasets import find_problems, read_dataset

    stderr = Console(stderr=True)
    with stderr.status("Reading headers"):
        reading = read_dataset(folder, layout)
    problems = list(reading.problems)
    if not quick:
        progress = track(
            find_problems(reading.samples),
            description="Checking",
            total=len(reading.samples),
            console=stderr,
            disable=not stderr.is_terminal,
        )
        problems += filter(None, progress)
    sets = _count(reading.samples)
    if as_json:
        _print_json(sets, problems)
    else:
        _print_table(sets)
        for problem in problems:
            complain(f"{problem.path}: {problem.reason}")
    if problems:
        ctx.exit(UNREADABLE)


@dataclass(frozen=True)
class _Set:
    name: str
    authentic: int
    forged: dict[str, int]
    """Number of forged images by type; `unknown` where the dataset does not name a type."""
    smallest: tuple[int, int]
    largest: tuple[int, int]
    """Width and height of the images with the fewest and the most pixels."""


def _count(samples: Iterable[Sample]) -> list[_Set]:
    from tamperscope.images import read_size

    sets: dict[str, list[Sample]] = {}
    for sample in samples:
        sets.setdefault(sample.set, []).append(sample)
    counted = []
    for name, members in sets.items():
        sizes = sorted((read_size(sample.image) for sample in members), key=lambda size: size[0] * size[1])
        forged = Counter(sample.type or "unknown" for sample in members if sample.forged)
        authentic = len(members) - forged.total()
        counted.append(_Set(name, authentic, dict(forged), sizes[0], sizes[-1]))
    return counted


def _print_json(sets: Sequence[_Set], problems: Sequence[Problem]) -> None:
    answer = {
        "sets": [asdict(counted) for counted in sets],
        "problems": [{"file": str(problem.path), "reason": problem.reason} for problem in problems],
    }
    click.echo(json.dumps(answer))


def _print_table(sets: Sequence[_Set]) -> None:
    # On a narrow terminal, columns of zeros would make the other columns wrap.
    types = [t for t in (*ManipulationType, "unknown") if any(t in counted.forged for counted in sets)]
    table(
        ("Set", "Authentic", *(type.capitalize() for type in types), "Sizes"),
        [
            (
                counted.name,
                str(counted.authentic),
                *(str(counted.forged.get(type, 0)) for type in types),
                " to ".join(
                    dict.fromkeys(
                        f"{width}x{height}" for width, height in (counted.smallest, counted.largest)
                    )
                ),
            )
            for counted in sets
        ],
    )
