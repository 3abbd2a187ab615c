"""`tamperscope serve` and `tamperscope worker`."""

from __future__ import annotations

import os

import click

from tamperscope.commands.options import settings_options
from tamperscope.settings import TABLE, Settings

# What a server and a worker must agree on, and what a worker has of its own.
_OF_WORKERS = frozenset(
    (
        "host",
        "model",
        "max_bytes",
        "max_pixels",
        "pixel_budget",
        "workers",
        "drain",
        "threads",
        "cache",
        "precision",
        "evidence",
        "database",
        "redis",
        "job_lease",
        "metrics_port",
        "webhooks",
        "log_level",
        "log_format",
    )
)


@click.command()
@settings_options({setting.name for setting in TABLE} - {"metrics_port"})
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


@click.command()
@settings_options(_OF_WORKERS)
def worker(**options: str | None) -> None:
    """Work on the jobs of servers that use the same Redis and database.

    \b
    Example:
      export TAMPERSCOPE_REDIS=redis://127.0.0.1:6379/0
      export TAMPERSCOPE_DATABASE=postgresql://tamperscope@127.0.0.1/tamperscope
      tamperscope serve
      tamperscope worker    # in other terminals, on other machines, as many as there is work for

    Ctrl-C or SIGTERM let it finish the image in work. A worker that is killed loses nothing: its image is
    analysed by another one.
    """
    from tamperscope.server.worker import run

    run(Settings.read(os.environ, options), say=click.echo)
