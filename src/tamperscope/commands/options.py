"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import click

from tamperscope.report import Verdict
from tamperscope.settings import TABLE

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
"""The type of a folder that must exist."""

model_option = click.option(
    "--model", type=click.Path(path_type=Path), help="Bundle folder. [default: the default model]"
)
fail_on_option = click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice([verdict.value for verdict in Verdict]),
    help="Exit with 1 when an image gets this verdict. May be repeated.",
)


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
            command = click.option(
                setting.option, setting.name, metavar="VALUE", help=f"{setting.help} {sources}"
            )(command)
        return command

    return decorate
