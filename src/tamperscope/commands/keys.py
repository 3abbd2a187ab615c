"""`tamperscope keys`: create, list and revoke keys of the API, and create keys that sign reports."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from tamperscope.commands.output import complain, counted, table
from tamperscope.errors import SettingsError

if TYPE_CHECKING:
    from tamperscope.store import Database, Usage


@click.group()
def keys() -> None:
    """Create, list and revoke the API keys that a server accepts, and create keys that sign reports.

    \b
    Example:
      tamperscope keys create newsroom --file keys.json
      tamperscope keys create newsroom --signing
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
@click.option("--signing", is_flag=True, help="Create a key that signs reports instead.")
@click.option("--admin", is_flag=True, help="Allow this key to call /admin too.")
@click.option(
    "--days", type=click.IntRange(1, 36_500), help="Days for which it is valid; no limit by default."
)
@click.pass_context
def create(
    ctx: click.Context, /, name: str, path: Path, signing: bool, admin: bool, days: int | None
) -> None:
    """Create a key called NAME, print it, and store its digest.

    \b
    Example:
      tamperscope keys create newsroom --file keys.json
      curl -H "Authorization: Bearer tsk_..." -F image=@photo.jpg http://127.0.0.1:5000/classify

    The file holds only the digest, so the key is shown only once. A running server accepts the key after
    SIGHUP.

    \b
    Example:
      tamperscope keys create newsroom --signing
      tamperscope serve --signing-key newsroom.key.json
      tamperscope verify report.pdf --key newsroom.pub.json

    With --signing, it makes two files instead. NAME.key.json is the private key, which signs reports: keep it
    secret. NAME.pub.json is the public key: give it to everyone who reads your reports.
    """
    if signing:
        if admin or days:
            raise click.UsageError("--admin and --days belong to API keys; leave them out with --signing.")
        given = ctx.get_parameter_source("path") is ParameterSource.COMMANDLINE
        _create_signing_key(name, path if given else None)
        return
    from tamperscope.server.middleware.keys import create_key, utc_today

    today = utc_today()
    expires = today + datetime.timedelta(days=days) if days else None
    key = create_key(path, name, admin=admin, today=today, expires=expires)
    complain(f"Added to {path}. The key is shown only once:")
    click.echo(key)


def _create_signing_key(name: str, path: Path | None) -> None:
    from tamperscope.documents.signatures import SigningKey

    if path is None and not re.fullmatch(r"[\w-][\w.-]{0,60}", name):
        raise click.UsageError(f"{name!r} is not a name of a file; choose the file with --file.")
    path = path or Path(f"{name}.key.json")
    public = path.with_name(f"{path.name.removesuffix('.json').removesuffix('.key')}.pub.json")
    if public.exists():
        raise SettingsError(f"{public} exists already, and a key is never overwritten.")
    key = SigningKey.create(name)
    key.write(path)
    try:
        public.write_text(json.dumps(key.public.to_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        path.unlink()
        raise SettingsError(f"{public} cannot be written: {(error.strerror or '').lower()}.") from None
    complain(f"{path} is the private key: keep it secret. {public} is for those who read your reports.")
    complain("The key's id, to compare over another channel:")
    click.echo(key.public.id)


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

    With --database, it also lists what is stored for keys that the file no longer has, by their ids, and what
    was stored without a key.
    """
    from tamperscope.server.middleware.keys import Key, list_keys, utc_today
    from tamperscope.store import AnalysisStore, Usage

    today = utc_today()
    known = list_keys(path)
    used = dict(AnalysisStore(_existing(database)).usage_by_owner()) if database else None

    def stored(owner: str) -> tuple[str, ...]:
        return () if used is None else _usage_cells(used.pop(owner, Usage()))

    def row(key: Key) -> tuple[str, ...]:
        expires = key.expires.isoformat() if key.expires else "never"
        expired = key.expires is not None and key.expires < today
        words = ("administrator" * key.admin, "expired" * expired)
        return key.name, key.created.isoformat(), expires, *stored(key.owner), " ".join(filter(None, words))

    rows = [row(key) for key in known]
    for owner in sorted(used or ()):
        rows.append((owner or "-", "", "", *stored(owner), "not in the file" if owner else "without a key"))
    table(("name", "created", "expires", *(("analyses", "MB stored") if database else ()), ""), rows)


def _existing(url: str) -> Database:
    from tamperscope.store import Database

    database = Database(url)
    database.check()
    return database


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
    no other key can read it, not even a new one of the same name. `erase` deletes it at once.
    """
    from tamperscope.server.middleware.keys import revoke_key

    revoked = revoke_key(path, name)
    complain(f"Revoked {revoked.owner}. A running server refuses the key after SIGHUP.")


@keys.command()
@click.argument("id")
@_file_option
@click.option(
    "--database",
    metavar="URL",
    envvar="TAMPERSCOPE_DATABASE",
    required=True,
    show_envvar=True,
    help="Database in which it is stored.",
)
def erase(id: str, path: Path, database: str) -> None:
    """Delete what is stored for a revoked key: its analyses with their pictures, and its jobs.

    ID is the key's id, which `revoke` prints, and `list --database` lists.

    \b
    Example:
      tamperscope keys erase key-3f2a90b1c4d5e6f7 --database sqlite:////var/lib/tamperscope/analyses.db
    """
    from tamperscope.jobs.queue import JobQueue
    from tamperscope.server.middleware.keys import list_keys
    from tamperscope.store import AnalysisStore

    for key in list_keys(path):
        if key.owner == id:
            raise SettingsError(f"{path} still has the key {key.name!r} of this id; revoke it first.")
        if key.name == id:
            raise SettingsError(f"{id!r} is the name of a key; revoke it, and give the id that this prints.")
    found = _existing(database)
    jobs, analyses = JobQueue(found).erase(owner=id), AnalysisStore(found).erase(owner=id)
    if not jobs + analyses:
        raise SettingsError(f"Nothing is stored for {id!r}; see: tamperscope keys list --database URL.")
    complain(f"Deleted {counted(analyses, 'analysis', 'analyses')} and {counted(jobs, 'job')}.")
