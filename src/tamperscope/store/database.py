"""The connection to the database, and the migration of its schema."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from tamperscope.errors import DatabaseFullError, MissingExtraError, SettingsError, StoreError
from tamperscope.store.reserve import Reserve

_SQLITE, _POSTGRESQL = "sqlite", "postgresql+psycopg"
_DRIVERS = {
    "sqlite": _SQLITE,
    "postgres": _POSTGRESQL,
    "postgresql": _POSTGRESQL,
    "postgresql+psycopg": _POSTGRESQL,
}
_BUSY_SECONDS = 30
"""How long a process waits for another one's write to SQLite."""
_RETRY_SECONDS = 0.02
_CONNECT_SECONDS = 10
_MIGRATION_LOCK = 0x74616D706572
"""An arbitrary number that nothing else in a shared PostgreSQL database is likely to lock."""

_log = logging.getLogger(__name__)


class Database:
    """A database that any number of threads and processes may share."""

    def __init__(self, url: str, *, reserve: int = 0) -> None:
        """Prepare to connect; nothing is read or written yet.

        `url` is `sqlite:///relative/file.db`, `sqlite:////absolute/file.db` or
        `postgresql://user:password@host/name`. Raises `SettingsError` for anything else, and
        `MissingExtraError` when the driver is not installed.

        `reserve` bytes of disk space are kept free beside an SQLite file, so that something can be deleted
        when the disk is full. As much can be deleted at a time.
        """
        self._url = _checked(url)
        self._reserve = (
            Reserve(Path(f"{self._url.database}-reserve"), reserve)
            if reserve and self._url.drivername == _SQLITE
            else None
        )
        self._engine = _engine(self._url)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session that is committed at the end, or rolled back on an exception.

        Raises `DatabaseFullError` when the disk is full, and `StoreError` when the database cannot be reached
        or fails in another way. An `IntegrityError` is passed to the caller, who knows what it means.
        """
        with _explained(), self._sessions.begin() as session:
            yield session

    @contextmanager
    def transaction_on_reserve(self) -> Iterator[Session]:
        """Open a session as `transaction` does, for a deletion that found the disk full."""
        if self._reserve is None:
            with self.transaction() as session:
                yield session
            return
        with self._reserve.in_use(), self.transaction() as session:
            # No other writer takes the space that is released.
            session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            self._reserve.release()
            yield session

    def migrate(self) -> None:
        """Create the schema or bring it up to date.

        One process does it; others that start meanwhile wait.

        Raises `StoreError` when the database cannot be used, or was written by a newer version of this
        package.
        """
        if self._url.drivername == _SQLITE:
            _prepare_file(self._url)
        with _explained(), self._engine.connect() as connection:
            if self._url.drivername == _SQLITE:
                _use_write_ahead_log(connection)
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            _upgrade(connection)
            connection.commit()
        if self._reserve:
            self._reserve.fill()

    def check(self) -> None:
        """Raise `StoreError` unless there is a database with the schema of this version; changes nothing."""
        path = Path(self._url.database or "")
        # Connecting would create it.
        if self._url.drivername == _SQLITE and not path.is_file():
            raise StoreError(f"There is no database {path}.")
        with _explained(), self._engine.connect() as connection:
            scripts = ScriptDirectory.from_config(_migrations(connection))
            if MigrationContext.configure(connection).get_current_revision() != scripts.get_current_head():
                raise StoreError(
                    "The database was written by another version of tamperscope; start the server once to "
                    "update it."
                )

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()


def lock_name(session: Session, name: str) -> None:
    """Let no other transaction lock the same name until this one ends.

    An SQLite transaction that has written excludes all others that write, and needs no further lock.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        # The address may contain a password, so it is not repeated.
        raise SettingsError("The database address is invalid; " + _ALLOWED) from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise SettingsError(f"{url.drivername!r} is not a supported database; " + _ALLOWED)
    if driver == _SQLITE and url.database in (None, "", ":memory:"):
        raise SettingsError("A database in memory cannot be shared between threads; " + _ALLOWED)
    return url.set(drivername=driver)


_ALLOWED = "it must look like sqlite:////folder/file.db or postgresql://user:password@host/name."


def _engine(url: URL) -> Engine:
    if url.drivername == _SQLITE:
        # Opening the file costs less than a millisecond, and nothing stays open across a fork.
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine, "connect", _configure_sqlite)
        return engine
    try:
        return create_engine(
            url, pool_pre_ping=True, pool_recycle=1800, connect_args={"connect_timeout": _CONNECT_SECONDS}
        )
    except ModuleNotFoundError:
        raise MissingExtraError(
            "PostgreSQL needs a driver; install it with: pip install 'tamperscope[postgres]'."
        ) from None


def _configure_sqlite(connection: sqlite3.Connection, _: object) -> None:
    for setting in (
        "foreign_keys=ON",
        # With a write-ahead log, a power cut may lose the last transaction but never damages the file.
        "synchronous=NORMAL",
        # Deleted data is overwritten, because a user's image must not remain in free pages.
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {setting}")


def _prepare_file(url: URL) -> None:
    """Create the file and its folder if needed, for this account only: it holds users' images."""
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise StoreError(
            f"The database {path} cannot be written: {reason}. Choose another with TAMPERSCOPE_DATABASE."
        ) from None


def _use_write_ahead_log(connection: Connection) -> None:
    """Switch an SQLite file to the mode in which readers never wait for a writer; the file stores it.

    If several processes switch at the same time, SQLite answers "locked" to all but one at once, whatever the
    busy timeout, because waiting would be a deadlock.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _upgrade(connection: Connection) -> None:
    config = _migrations(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise StoreError(
            "The database was written by a newer version of tamperscope; install that version, or choose "
            "another database with TAMPERSCOPE_DATABASE."
        )
    command.upgrade(config, "head")


def _migrations(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "tamperscope.store:migrations")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _explained() -> Iterator[None]:
    """Turn errors that only an operator can fix into a `StoreError`, with the reason in the log only."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.IntegrityError) or _sqlstate(error).startswith("23"):
            raise
        _log.error("database: %s", str(error.orig).strip())
        if _is_full(error):
            raise DatabaseFullError(
                "The disk that holds the database is full, so nothing more can be stored; tell the server's "
                "operator."
            ) from None
        raise StoreError(_UNUSABLE) from None
    except PoolTimeoutError as error:
        # Every connection of the pool stayed in use, as while the database hangs.
        _log.error("database: %s", error)
        raise StoreError(_UNUSABLE) from None


_UNUSABLE = "The database of analyses cannot be used at the moment; see the server's log for the reason."


def _is_full(error: DBAPIError) -> bool:
    # PostgreSQL: disk_full.
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or _sqlstate(error) == "53100"


def _sqlstate(error: DBAPIError) -> str:
    """Return the SQLSTATE of PostgreSQL; class 23 is a violated constraint."""
    return getattr(error.orig, "sqlstate", None) or ""
