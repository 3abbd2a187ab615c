"""`tamperscope serve`."""

from __future__ import annotations

import os

import click

from tamperscope.commands.options import settings_options
from tamperscope.server.settings import Settings


@click.command()
@settings_options()
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
