"""`tamperscope serve`."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from tamperscope.server.settings import TABLE, Settings


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


@click.command()
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
