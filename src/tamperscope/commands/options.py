"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from tamperscope.case import CaseDetails
from tamperscope.commands.output import QUIET, VERBOSE, set_plain, set_verbosity
from tamperscope.report import Verdict
from tamperscope.settings import TABLE

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
"""The type of a folder that must exist."""

model_option = click.option(
    "--model", type=click.Path(path_type=Path), help="Bundle folder. [default: the default model]"
)
authentic_option = click.option(
    "--authentic", type=FOLDER, help="Authentic files to analyse as they are, including sub-folders."
)
fail_on_option = click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice([verdict.value for verdict in Verdict]),
    help="Exit with 1 when an image gets this verdict. May be repeated.",
)


def _choose_plain(context: click.Context, _: click.Parameter, given: bool) -> None:
    if given:
        set_plain(context)


plain_option = click.option(
    "--plain",
    is_flag=True,
    expose_value=False,
    callback=_choose_plain,
    help="Print the table tab-separated, one row a line, as it is for a pipe or a file.",
)


def case_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of what a person adds to a report, as the argument `case`."""

    @functools.wraps(command)
    def described(*arguments: Any, **options: Any) -> None:
        texts = {name: options.pop(f"case_{name}") for name in ("title", "number", "analyst", "notes")}
        tags, notes = options.pop("case_tags"), dict(options.pop("case_region_notes"))
        command(*arguments, case=CaseDetails(**texts, tags=tags, region_notes=notes), **options)

    for option in (
        click.option(
            "--title",
            "case_title",
            default="",
            help="Title of the report; {file} stands for the file's name.",
        ),
        click.option("--case", "case_number", default="", help="Case number or name, for the report."),
        click.option("--analyst", "case_analyst", default="", help="Who made the report."),
        click.option("--notes", "case_notes", default="", metavar="TEXT", help="Notes in the report."),
        click.option(
            "--tag", "case_tags", multiple=True, metavar="TAG", help="Tag in the report. May be repeated."
        ),
        click.option(
            "--region-note",
            "case_region_notes",
            type=(str, str),
            multiple=True,
            metavar="LABEL TEXT",
            help="Note on a region, such as 1a. May be repeated.",
        ),
    ):
        described = option(described)
    return described


def message_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `-q` and `-v`, which `tell` heeds."""
    verbose = _verbosity_option("-v", "--verbose", VERBOSE, "Say more on stderr about each file.")
    quiet = _verbosity_option(
        "-q", "--quiet", QUIET, "Say nothing on stderr but errors, and show no progress."
    )
    return quiet(verbose(command))


def _verbosity_option(
    short: str, long: str, level: int, help: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def choose(context: click.Context, _: click.Parameter, given: bool) -> None:
        if given:
            set_verbosity(context, level)

    return click.option(short, long, is_flag=True, expose_value=False, callback=choose, help=help)


def held_out_images_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the images that a bundle is calibrated on, and of its output."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the metrics as one JSON object."),
        click.option("--seed", default=2, show_default=True, help="Seed of the images made."),
        click.option(
            "--count", default=1000, show_default=True, type=click.IntRange(20), help="Images to make."
        ),
    ):
        command = option(command)
    return command


def settings_options(only: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command one option for each setting in `only`.

    If `only` is empty, every setting gets an option. Secrets never do. The values of the options are text, as
    `Settings.read` expects.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for setting in reversed(TABLE):
            if setting.secret_in or (only and setting.name not in only):
                continue
            sources = f"[env var: {setting.variables[0]}; default: {setting.default or 'none'}]"
            metavar = _METAVARS.get(setting.name, "VALUE")
            command = click.option(
                setting.option, setting.name, metavar=metavar, help=f"{setting.help} {sources}"
            )(command)
        return command

    return decorate


_METAVARS = {
    "cache": "FOLDER",
    "cors_origins": "ORIGINS",
    "database": "URL",
    "device": "auto|cpu|gpu|npu|...",
    "drain": "SECONDS",
    "evidence": "on|off",
    "host": "ADDRESS",
    "job_bytes": "BYTES",
    "job_images": "COUNT",
    "job_lease": "SECONDS",
    "jobs": "COUNT",
    "keys": "FILE",
    "language": "CODE",
    "log_format": "text|json",
    "log_level": "LEVEL",
    "max_bytes": "BYTES",
    "max_pixels": "PIXELS",
    "metrics_port": "PORT",
    "model": "FOLDER",
    "pixel_budget": "PIXELS",
    "port": "PORT",
    "precision": "auto|f32|bf16",
    "queue": "COUNT",
    "quota": "BYTES",
    "rate_limit": "COUNT",
    "redis": "URL",
    "retention": "DAYS",
    "signing_key": "FILE",
    "threads": "COUNT",
    "timeout": "SECONDS",
    "trusted_proxy": "ADDRESS",
    "tunnel": "none|ngrok",
    "webhooks": "public|any|none",
    "workers": "COUNT",
}
