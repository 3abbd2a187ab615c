"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection

import click

from tamperscope.settings import TABLE


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
