"""`tamperscope keys create`."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from tamperscope.commands.output import complain


@click.group()
def keys() -> None:
    """Create the API keys that a server accepts.

    \b
    Example:
      tamperscope keys create newsroom --file keys.json
      tamperscope serve --keys keys.json
    """


@keys.command()
@click.argument("name")
@click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TAMPERSCOPE_KEYS",
    default=Path("keys.json"),
    show_default=True,
    show_envvar=True,
    help="Keys file; created if missing.",
)
@click.option("--admin", is_flag=True, help="Allow this key to call /admin too.")
def create(name: str, path: Path, admin: bool) -> None:
    """Create a key called NAME, print it, and store its digest.

    \b
    Example:
      tamperscope keys create newsroom --file keys.json
      curl -H "Authorization: Bearer tsk_..." -F image=@photo.jpg http://127.0.0.1:5000/classify

    The file holds only the digest, so the key is shown only once. A running server accepts the key after
    SIGHUP. To revoke a key, delete its entry from the file and send SIGHUP.
    """
    from tamperscope.server.middleware.keys import create_key

    key = create_key(path, name, admin=admin, today=datetime.datetime.now(datetime.UTC).date())
    complain(f"Added to {path}. The key is shown only once:")
    click.echo(key)
