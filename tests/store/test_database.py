"""Opening, migrating and sharing a database."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import reports
from tamperscope.case import CaseDetails
from tamperscope.errors import DatabaseFullError, SettingsError, StoreError
from tamperscope.store import AnalysisStore, Database, StoredPicture, Subject
from tamperscope.store.tables import Base

SUBJECT = Subject(owner="", image_sha256="a" * 64, bundle_sha256="b" * 64, method="tests")

# Forks, because importing Alembic takes longer than everything else here. It is safe: no file is open and no
# thread is running yet.
MIGRATE_FOUR_TIMES = """
import os, sys
from tamperscope.store import Database

def migrating() -> int:
    child = os.fork()
    if not child:
        Database(sys.argv[1]).migrate()
        os._exit(0)
    return child

print(*(os.waitpid(child, 0)[1] for child in [migrating() for _ in range(4)]))
"""


KILLED_BEFORE_IT_COMMITS = """
import os, signal, sys
from tamperscope.store import Database, database

upgrade = database._upgrade

def killed(connection) -> None:
    upgrade(connection)
    os.kill(os.getpid(), signal.SIGKILL)

database._upgrade = killed
Database(sys.argv[1]).migrate()
"""


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    yield database
    database.close()


def connect(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sqlalchemy.NullPool
    )


def test_the_migrations_create_the_tables(database, database_url):
    database.migrate()

    with connect(database_url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_second_start_changes_nothing(database):
    database.migrate()
    stored, _ = AnalysisStore(database).add(SUBJECT, reports.report().record, {})

    database.migrate()

    assert AnalysisStore(database).get(stored.id, owner="") == stored


def test_the_migrations_count_what_is_stored_already(database, database_url):
    database.migrate()
    store = AnalysisStore(database)
    stored, _ = store.add(SUBJECT, reports.report().record, {"mask": StoredPicture("image/png", bytes(1000))})
    store.describe(stored.id, CaseDetails(title="Überschwemmung", tags=("a",)), owner="")
    counted = store.usage(owner="")
    with connect(database_url).begin() as connection:
        connection.exec_driver_sql("DROP TABLE analysis_feedback")
        connection.exec_driver_sql("DROP INDEX ix_analysis_owner_bytes")
        connection.exec_driver_sql("ALTER TABLE analysis DROP COLUMN bytes")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")

    database.migrate()

    assert store.usage(owner="") == counted
    assert store.get(stored.id, owner="").case.title == "Überschwemmung"


def test_processes_that_start_together_do_not_disturb_each_other(database_url):
    done = subprocess.run(
        [sys.executable, "-c", MIGRATE_FOUR_TIMES, database_url], capture_output=True, text=True, timeout=120
    )

    assert (done.stdout, done.stderr, done.returncode) == ("0 0 0 0\n", "", 0)


def test_a_start_that_is_killed_during_the_migration_leaves_nothing_half_done(database, database_url):
    killed = subprocess.run([sys.executable, "-c", KILLED_BEFORE_IT_COMMITS, database_url], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert sqlalchemy.inspect(connect(database_url)).get_table_names() == []
    database.migrate()
    database.check()


def test_a_newer_database_is_left_alone(database, database_url):
    database.migrate()
    with connect(database_url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match="newer version of tamperscope"):
        database.migrate()


def test_a_check_accepts_only_a_database_of_this_version(database, database_url):
    with pytest.raises(StoreError, match=r"no database|another version"):
        database.check()

    database.migrate()

    database.check()
    with connect(database_url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")
    with pytest.raises(StoreError, match="start the server once"):
        database.check()


@pytest.mark.parametrize(
    "url", ["", "analyses.db", "mysql://u:hunter2@host/db", "sqlite://", "sqlite:///:memory:", "://:hunter2@"]
)
def test_other_addresses_are_refused_with_the_allowed_forms(url):
    with pytest.raises(SettingsError, match=r"sqlite:////folder/file\.db") as refusal:
        Database(url)

    assert "hunter2" not in str(refusal.value)


def test_an_unreachable_server_is_reported_without_its_password(caplog):
    database = Database("postgresql://tests:hunter2@/missing?host=/nowhere")

    with pytest.raises(StoreError, match="cannot be used at the moment"):
        database.migrate()
    database.close()

    assert "hunter2" not in caplog.text
    assert "database: " in caplog.text


def test_a_pool_without_a_free_connection_is_reported(tmp_path, monkeypatch, caplog):
    url = f"sqlite:///{tmp_path / 'analyses.db'}"
    pool = sqlalchemy.create_engine(
        url, poolclass=sqlalchemy.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0
    )
    monkeypatch.setattr("tamperscope.store.database._engine", lambda _: pool)
    database = Database(url)
    database.migrate()

    with pool.connect(), pytest.raises(StoreError, match="cannot be used at the moment"):
        AnalysisStore(database).usage(owner="")
    assert AnalysisStore(database).usage(owner="").analyses == 0
    database.close()

    assert "database: QueuePool limit" in caplog.text


def test_postgresql_on_a_full_disk_is_reported(postgresql):
    database = Database(postgresql.format(database="postgres"))

    with pytest.raises(DatabaseFullError, match="disk that holds the database is full"):  # noqa: SIM117
        with database.transaction() as session:
            session.execute(sqlalchemy.text("DO $$ BEGIN RAISE disk_full; END $$"))
    database.close()


# On a disk of 20 MB: stores analyses until it is full, then deletes one and, by their age, the others.
FILL_AND_DELETE = """
import os, sys
from datetime import timedelta
import reports
from tamperscope.errors import DatabaseFullError
from tamperscope.store import IMAGE, AnalysisStore, Database, StoredPicture, Subject

database = Database(f"sqlite:///{sys.argv[1]}/analyses.db", reserve=3_000_000)
database.migrate()
store, added = AnalysisStore(database), []
try:
    while True:
        subject = Subject("", f"{len(added):064x}", "b" * 64, "tests")
        picture = StoredPicture("image/jpeg", os.urandom(1_000_000))
        added.append(store.add(subject, reports.report().record, {IMAGE: picture})[0].id)
except DatabaseFullError:
    print("full")
with open(f"{sys.argv[1]}/other", "wb", buffering=0) as other:
    try:
        while other.write(bytes(4096)):
            pass
    except OSError:
        print("full to the last byte")
print(store.delete(added[0], owner=""), len(store.list(owner="", limit=100)) - len(added))
print(store.expire(timedelta(0)) - len(added), len(store.list(owner="", limit=100)))
print(os.path.getsize(f"{sys.argv[1]}/analyses.db-reserve"))
"""


class TestSqlite:
    def test_on_a_full_disk_analyses_can_be_deleted(self, tmp_path):
        # A disk of its own, in a mount namespace of its own; neither needs privileges.
        on_small_disk = [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            'mount -t tmpfs -o size=20m none "$1" && exec "$2" -c "$3" "$1"',
            "sh",
        ]
        if subprocess.run([*on_small_disk, str(tmp_path), "true"], capture_output=True).returncode:
            pytest.skip("this machine does not let the tests mount a disk")

        done = subprocess.run(
            [*on_small_disk, str(tmp_path), sys.executable, FILL_AND_DELETE],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )

        assert done.stdout.splitlines() == ["full", "full to the last byte", "True -1", "-1 0", "3000000"], (
            done.stderr
        )

    def test_space_is_reserved_once_and_a_disk_without_it_is_only_logged(self, tmp_path, caplog):
        file = tmp_path / "analyses.db"

        Database(f"sqlite:///{file}", reserve=1000).migrate()
        reserve = tmp_path / "analyses.db-reserve"
        first = reserve.stat()
        Database(f"sqlite:///{file}", reserve=1000).migrate()
        assert (reserve.stat().st_size, reserve.stat().st_ino) == (1000, first.st_ino)
        assert stat.S_IMODE(first.st_mode) == 0o600

        Database(f"sqlite:///{file}", reserve=2**60).migrate()
        assert not reserve.exists()
        assert "no space could be reserved" in caplog.text

    def test_only_its_owner_can_read_the_file(self, tmp_path):
        file = tmp_path / "data" / "analyses.db"

        Database(f"sqlite:///{file}").migrate()

        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    def test_a_folder_that_cannot_be_created_is_reported(self, tmp_path):
        (tmp_path / "file").touch()

        with pytest.raises(StoreError, match="cannot be written"):
            Database(f"sqlite:///{tmp_path / 'file' / 'analyses.db'}").migrate()

    def test_another_kind_of_file_is_left_alone(self, tmp_path, caplog):
        file = tmp_path / "photo.jpg"
        file.write_bytes(b"\xff\xd8\xff" * 1000)

        with pytest.raises(StoreError, match="cannot be used"):
            Database(f"sqlite:///{file}").migrate()

        assert file.read_bytes() == b"\xff\xd8\xff" * 1000
        assert "not a database" in caplog.text

    def test_readers_continue_during_a_write(self, tmp_path):
        file = tmp_path / "analyses.db"
        database = Database(f"sqlite:///{file}")
        database.migrate()
        stored, _ = AnalysisStore(database).add(SUBJECT, reports.report().record, {})

        with sqlite3.connect(file, isolation_level=None) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM analysis")
            assert AnalysisStore(database).get(stored.id, owner="") == stored
            writer.execute("ROLLBACK")
        writer.close()
