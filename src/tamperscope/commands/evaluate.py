"""`tamperscope evaluate`."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tamperscope.commands.options import settings_options
from tamperscope.commands.output import UNREADABLE, complain, table
from tamperscope.settings import Settings

if TYPE_CHECKING:
    from tamperscope.datasets import Problem
    from tamperscope.detector import Detector
    from tamperscope.evaluation.benchmark import Journal, Task
    from tamperscope.evaluation.measurement import Case
    from tamperscope.evaluation.results import Results

JOURNAL = "measurements.jsonl"


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="Bundle folder. [default: the default model]")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of the dataset.",
)
@click.option(
    "--layout",
    default="folder",
    show_default=True,
    help="Layout of its files. `folder` means images/, masks/ and authentic/, or folders of these.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the results. A run that was stopped resumes from there.",
)
@click.option("--robustness", is_flag=True, help="Measure again after compression, blur, noise and scaling.")
@click.option(
    "--robustness-images",
    type=click.IntRange(min=2),
    default=100,
    show_default=True,
    help="Number of images for --robustness, half of them forged.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Measure this many images, evenly selected.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Images analysed at the same time. The networks already use all cores for a single image.",
)
@settings_options({"device"})
@click.option("--json", "as_json", is_flag=True, help="Print results.json instead of tables.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    bundle: Path | None,
    data: Path,
    layout: str,
    out: Path,
    robustness: bool,
    robustness_images: int,
    limit: int | None,
    workers: int,
    device: str | None,
    as_json: bool,
) -> None:
    """Measure how well a bundle detects forgeries with known ground truth.

    Writes results.json, results.md (tables, with the convention of each metric), images.csv, plots, and a
    picture of the best and worst cases.

    \b
    Example:
      tamperscope evaluate --data bench --out results
      tamperscope evaluate --bundle model-mine --data CASIA1 --layout casia1 --out results --robustness

    An image that cannot be used is named on stderr. The others are still measured, and the exit code is 3.
    """
    from tamperscope.cores import leave_blas_one_thread
    from tamperscope.datasets import read_dataset
    from tamperscope.detector import Detector
    from tamperscope.evaluation.benchmark import Journal, Task, evenly, sweep
    from tamperscope.evaluation.groups import by_group
    from tamperscope.evaluation.results import Results, write_results
    from tamperscope.evaluation.summary import compare, summarise

    reading = read_dataset(data, layout)
    leave_blas_one_thread()
    detector = Detector.load(bundle, device=Settings.read(os.environ, {"device": device}).device)
    _make(out)
    journal = Journal(out / JOURNAL)
    if len(journal):
        complain(
            f"Measurements of an earlier run are reused from {out / JOURNAL}. Delete the file to start over."
        )
    samples = evenly(reading.samples, limit or len(reading.samples))
    cases, failed = _measured(detector, [Task(sample) for sample in samples], journal, workers, "Measuring")
    swept = sweep([sample for sample, _ in cases], robustness_images) if robustness else []
    corrupted, failed_corrupted = _measured(detector, swept, journal, workers, "Corrupting, measuring")
    problems = (*reading.problems, *failed, *failed_corrupted)
    for problem in problems:
        complain(f"{problem.path}: {problem.reason}")
    if not cases:
        complain(f"No image in {data} could be measured.")
        ctx.exit(UNREADABLE)
    results = Results(
        command=_command_line(ctx),
        bundle=detector.bundle,
        summaries=summarise([measurement for _, measurement in cases]),
        groups=by_group(measurement for _, measurement in cases),
        robustness=compare(cases, corrupted) if corrupted else [],
        problems=problems,
        device=detector.method.device,
    )
    write_results(results, cases, out)
    _draw(results, detector, cases, out)
    if as_json:
        click.echo(json.dumps(results.to_json(), allow_nan=False))
    else:
        for section in results.tables(intervals=False):
            click.echo(f"\n{section.title}\n")
            table(section.columns, section.rows)
    complain(f"The results are in {out}. results.md explains each metric.")
    if problems:
        ctx.exit(UNREADABLE)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{out} cannot be created: {error.strerror}.", param_hint="--out") from None


def _measured(
    detector: Detector, tasks: Sequence[Task], journal: Journal, workers: int, label: str
) -> tuple[list[Case], list[Problem]]:
    from rich.console import Console
    from rich.progress import track

    from tamperscope.datasets import Problem
    from tamperscope.evaluation.benchmark import run

    cases: list[Case] = []
    problems: list[Problem] = []
    stderr = Console(stderr=True)
    outcomes = track(
        run(detector, tasks, journal, workers),
        label,
        total=len(tasks),
        console=stderr,
        disable=not (tasks and stderr.is_terminal),
    )
    for task, outcome in zip(tasks, outcomes, strict=True):
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            cases.append((task.sample, outcome))
    return cases, problems


def _command_line(ctx: click.Context) -> str:
    """Return the command line for others to reproduce: paths reduced to their last part, no defaults."""
    words = ["tamperscope", "evaluate"]
    for option in ctx.command.params:
        value = ctx.params[option.name or ""]
        if value in (option.get_default(ctx), None) or option.name == "as_json":
            continue
        words += [option.opts[0]] if value is True else [option.opts[0], _shown(value)]
    return shlex.join(words)


def _shown(value: object) -> str:
    return value.resolve().name if isinstance(value, Path) else str(value)


def _draw(results: Results, detector: Detector, cases: Sequence[Case], out: Path) -> None:
    from tamperscope.evaluation.sheet import best_and_worst

    sheet = best_and_worst(detector, cases)
    if sheet:
        sheet.save(out / "best-and-worst.jpg", quality=88)
    try:
        from tamperscope.evaluation.plots import write_plots
    except ModuleNotFoundError:
        complain(
            "No plots were drawn: matplotlib is missing. Install it with: pip install 'tamperscope[train]'"
        )
        return
    write_plots(results, out)
