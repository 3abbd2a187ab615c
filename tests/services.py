"""PostgreSQL, Redis and tamperscope servers, started only for the tests and benchmarks that need them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a separate PostgreSQL cluster; yields its address, with a placeholder for the database's name.

    It listens only on a Unix socket, so it needs no free port. Skips the test if PostgreSQL is not installed.
    """
    newest = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None, key=_version)
    if newest is None:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="tamperscope-postgresql-"))
    user = _unprivileged()
    if user:
        shutil.chown(folder, user)

    def call(program: str, *arguments: str) -> None:
        # Without pipes: the server would inherit them, and a reader would wait until the server ends.
        with (folder / "log").open("ab") as log:
            command = [str(newest.with_name(program)), "-D", str(folder / "data"), *arguments]
            done = subprocess.run(command, user=user, stdout=log, stderr=log, cwd=folder, timeout=60)
        assert done.returncode == 0, (folder / "log").read_text()

    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c timezone=America/New_York"
    try:
        call("initdb", "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        call("pg_ctl", "-w", "-o", options, "start")
        try:
            yield f"postgresql://tests@/{{database}}?host={folder}"
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@contextmanager
def redis() -> Iterator[str]:
    """Run a separate Redis on a Unix socket; yields its address. Skips the test if it is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis' server is not installed: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="tamperscope-redis-") as folder:
        socket = Path(folder) / "socket"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
        with subprocess.Popen(
            [program, *options, "--loglevel", "notice"], stdout=subprocess.PIPE, cwd=folder, text=True
        ) as server:
            assert server.stdout is not None
            # Redis prints this line when it can be reached.
            assert any("ready to accept connections" in line.lower() for line in server.stdout), "Redis ended"
            try:
                yield f"unix://{socket}"
            finally:
                server.kill()


@contextmanager
def tamperscope(
    *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a server with the default model and an empty database; yields its address and its process."""
    with tempfile.TemporaryDirectory(prefix="tamperscope-") as folder:
        database = ["--database", f"sqlite:///{folder}/analyses.db"]
        command = [sys.executable, "-m", "tamperscope", "serve", "--port", "0", *database, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            try:
                assert server.stdout is not None
                # It prints this line when it has loaded its networks.
                yield server.stdout.readline().split()[-1], server
            finally:
                server.terminate()


def _version(initdb: Path) -> int:
    return int(initdb.parts[-3])


def _unprivileged() -> str | int | None:
    """Return the account to run PostgreSQL as, because it refuses to run as root; None for this account."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    # On Debian, 65534 is the account without privileges.
    return "postgres" if "postgres" in names else 65534
