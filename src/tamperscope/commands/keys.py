"""`tamperscope keys`: create, list and revoke."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tamperscope.commands.output import complain, table

if TYPE_CHECKING:
    from tamperscope.store import Usage


@click.group()
def keys() -> None:
    """Create, list and revoke the API keys that a server accepts.

    \b
    Example:
      tamperscope keys create newsroom --file keys.json
      tamperscope keys list --file keys.json
      tamperscope serve --keys keys.json
    """


_file_option = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TAMPERSCOPE_KEYS",
    default=Path("keys.json"),
    show_default=True,
    show_envvar=True,
    help="Keys file; `create` makes it if it is missing.",
)


@keys.command()
@click.argument("name")
@_file_option
@click.option("--admin", is_flag=True, help="Allow this key to call /admin too.")
@click.option(
    "--days", type=click.IntRange(1, 36_500), help="Days for which it is valid; no limit by default."
)
def create(name: str, path: Path, admin: bool, days: int | None) -> None:
    """Create a key called NAME, print it, and store its digest.

    \b
    Example:
      tamperscope keys create newsroom --file keys.json
      curl -H "Authorization: Bearer tsk_..." -F image=@photo.jpg http://127.0.0.1:5000/classify

    The file holds only the digest, so the key is shown only once. A running server accepts the key after
    SIGHUP.
    """
    from tamperscope.server.middleware.keys import create_key, utc_today

    today = utc_today()
    expires = today + datetime.timedelta(days=days) if days else None
    key = create_key(path, name, admin=admin, today=today, expires=expires)
    complain(f"Added to {path}. The key is shown only once:")
    click.echo(key)


@keys.command("list")
@_file_option
@click.option(
    "--database",
    metavar="URL",
    envvar="TAMPERSCOPE_DATABASE",
    show_envvar=True,
    help="Also show how much is stored for each key in this database.",
)
def list_command(path: Path, database: str | None) -> None:
    """List the keys of a file: names, dates, and which are an administrator's.

    \b
    Example:
      tamperscope keys list --file keys.json
      tamperscope keys list --file keys.json --database sqlite:////var/lib/tamperscope/analyses.db
    """
    from tamperscope.server.middleware.keys import list_keys, utc_today
    from tamperscope.store import Usage

    today = utc_today()
    used = _usage_by_owner(database) if database else None
    table(
        ("name", "created", "expires", *(("analyses", "MB stored") if used is not None else ()), ""),
        [
            (
                key.name,
                key.created.isoformat(),
                key.expires.isoformat() if key.expires else "never",
                *(_usage_cells(used.get(key.owner, Usage())) if used is not None else ()),
                " ".join(
                    word
                    for word, applies in (
                        ("administrator", key.admin),
                        ("expired", key.expires is not None and key.expires < today),
                    )
                    if applies
                ),
            )
            for key in list_keys(path)
        ],
    )


def _usage_by_owner(url: str) -> Mapping[str, Usage]:
    from tamperscope.store import AnalysisStore, Database

    database = Database(url)
    database.check()
    return AnalysisStore(database).usage_by_owner()


def _usage_cells(used: Usage) -> tuple[str, str]:
    return str(used.analyses), f"{used.bytes / 1e6:.1f}"


@keys.command()
@click.argument("name")
@_file_option
def revoke(name: str, path: Path) -> None:
    """Revoke the key called NAME: remove it from the file.

    \b
    Example:
      tamperscope keys revoke newsroom --file keys.json
      kill -HUP <process>

    A running server refuses the key after SIGHUP. What was stored for it is deleted when its retention ends;
    no other key can read it, not even a new one of the same name.
    """
    from tamperscope.server.middleware.keys import revoke_key

    revoke_key(path, name)
    complain("Revoked. A running server refuses the key after SIGHUP.")
