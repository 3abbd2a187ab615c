"""`tamperscope serve` and `tamperscope worker`."""

from __future__ import annotations

import os

import click

from tamperscope.commands.options import settings_options
from tamperscope.settings import TABLE, Settings

# The settings that a worker shares with its servers, and those that only a worker has.
_WORKER_SETTINGS = frozenset(
    (
        "host",
        "model",
        "max_bytes",
        "max_pixels",
        "pixel_budget",
        "workers",
        "deadline",
        "drain",
        "threads",
        "cache",
        "precision",
        "device",
        "evidence",
        "c2pa_trust",
        "database",
        "quota",
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
    """Serve the HTTP API until Ctrl-C or SIGTERM.

    \b
    Example:
      tamperscope serve --port 8000
      curl -F image=@photo.jpg http://127.0.0.1:8000/classify

    With --tunnel ngrok the server also gets a public address. The ngrok account's token is read from the
    environment variable NGROK_TOKEN.
    """
    from tamperscope.server.serve import run

    run(Settings.read(os.environ, options), say=click.echo)


@click.command()
@settings_options(_WORKER_SETTINGS)
def worker(**options: str | None) -> None:
    """Process the jobs that servers queue in Redis.

    The worker and the servers must use the same Redis and the same database.

    \b
    Example:
      export TAMPERSCOPE_REDIS=redis://127.0.0.1:6379/0
      export TAMPERSCOPE_DATABASE=postgresql://tamperscope@127.0.0.1/tamperscope
      tamperscope serve
      tamperscope worker    # in other terminals or on other machines, as many as you need

    On Ctrl-C or SIGTERM the worker finishes the image in progress and exits. If a worker is killed, nothing
    is lost: another worker analyses its image.
    """
    from tamperscope.server.worker import run

    run(Settings.read(os.environ, options), say=click.echo)
