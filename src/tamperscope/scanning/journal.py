"""The state of a scan, on disk: a killed scan continues from it, and the scan's memory does not grow.

The journal is one SQLite file. `images` holds every path that was found. `contents` holds the result for
each distinct content, under its SHA-256; files of equal content share one row. Each image is one transaction,
which does not wait for the disk. Whatever ends the process, no image is lost. A power failure loses the last
few at most.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tamperscope.errors import ScanError
from tamperscope.scanning.examination import ScanRow
from tamperscope.scanning.files import Found

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS about (document TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS images (
        id INTEGER PRIMARY KEY,
        path TEXT NOT NULL UNIQUE,
        expected INTEGER NOT NULL,
        sha256 TEXT,
        error TEXT
    );
    CREATE INDEX IF NOT EXISTS images_by_content ON images (sha256);
    CREATE TABLE IF NOT EXISTS contents (
        sha256 TEXT PRIMARY KEY,
        score REAL,
        verdict TEXT,
        recognised INTEGER NOT NULL,
        row TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS contents_by_score ON contents (score);
    -- Finished files. no_image: nothing marked the file as an image, and its content is not one.
    CREATE VIEW IF NOT EXISTS done AS
        SELECT path, sha256, error, verdict, row, COALESCE(NOT expected AND NOT recognised, 0) AS no_image
        FROM images LEFT JOIN contents USING (sha256)
        WHERE sha256 IS NOT NULL OR error IS NOT NULL;
"""


@dataclass(frozen=True)
class Pending:
    """A file that has not been examined yet."""

    id: int
    path: str


@dataclass(frozen=True)
class ScannedFile:
    """One file of a scan, and the result for its content."""

    path: str
    sha256: str | None
    """SHA-256 of the content, in hexadecimal; None if the file could not be read."""
    row: ScanRow


@dataclass(frozen=True)
class Tally:
    """The totals of a scan."""

    images: int
    """The number of rows, including duplicates and errors."""
    verdicts: Mapping[str, int]
    errors: int
    duplicates: int
    """Files whose content another file has already."""
    no_images: int
    """Files without a suffix that the caller did not name, and whose content is not an image."""


class Journal:
    """The state of one scan. Use it from one thread only."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, started_over: bool = False) -> None:
        self.path = path
        """The SQLite file."""
        self._connection = connection
        self.started_over = started_over
        """Whether rows were dropped because other code made them."""

    @classmethod
    def open(cls, path: Path, about: Mapping[str, Any]) -> Self:
        """Return the journal in the file `path`, which is created if missing.

        `about` is everything that the rows depend on. If the rows come from another version of the code, they
        are dropped and their files examined again. Raises `ScanError` when the file holds a scan with another
        model or other options, when another scan is using it, or when it cannot be written.
        """
        try:
            # Each statement is a transaction of its own, except between BEGIN and COMMIT.
            connection = sqlite3.connect(path, timeout=1, isolation_level=None)
            # Names on disk are bytes, and need not be UTF-8.
            connection.text_factory = os.fsdecode
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(_SCHEMA)
            document = json.dumps(about, sort_keys=True)
            connection.execute(
                "INSERT INTO about SELECT ? WHERE NOT EXISTS (SELECT * FROM about)", (document,)
            )
            (found,) = connection.execute("SELECT document FROM about").fetchone()
        except sqlite3.Error as error:
            locked = "locked" in str(error)
            why = "another scan is writing to it" if locked else "it cannot be read and written as a journal"
            raise ScanError(f"{path} cannot be used: {why}.") from None
        if found != document:
            if _without_code(json.loads(found)) != _without_code(about):
                connection.close()
                raise ScanError(
                    f"{path} holds an unfinished scan with another model or other options; "
                    "use those to continue it, or delete it to start over."
                )
            connection.execute("BEGIN")
            connection.execute("DELETE FROM contents")
            connection.execute("UPDATE images SET sha256 = NULL, error = NULL")
            connection.execute("UPDATE about SET document = ?", (document,))
            connection.execute("COMMIT")
        return cls(path, connection, started_over=found != document)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the journal, and delete it where no file was recorded: there is nothing to continue."""
        if self.path.exists() and self.counts() == (0, 0):
            self.discard()
        self._connection.close()

    def discard(self) -> None:
        """Close and delete the journal, once the scan is finished and its results are written."""
        self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    # Progress

    def add(self, found: Iterable[Found]) -> int:
        """Record files to be examined, and return how many of them are new.

        Files that are already recorded stay as they are.
        """
        before = self._connection.total_changes
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT OR IGNORE INTO images (path, expected) VALUES (CAST(? AS TEXT), ?)",
            ((os.fsencode(file.path), file.expected) for file in found),
        )
        self._connection.execute("COMMIT")
        return self._connection.total_changes - before

    def pending(self, after: int, limit: int) -> list[Pending]:
        """Return up to `limit` files not examined yet, in ascending order of id, with ids above `after`."""
        rows = self._connection.execute(
            "SELECT id, path FROM images "
            "WHERE id > ? AND sha256 IS NULL AND error IS NULL ORDER BY id LIMIT ?",
            (after, limit),
        )
        return [Pending(*row) for row in rows]

    def knows(self, sha256: str) -> bool:
        """Return whether there is a row for this content."""
        return bool(self._connection.execute("SELECT 1 FROM contents WHERE sha256 = ?", (sha256,)).fetchone())

    def add_row(self, sha256: str, row: ScanRow) -> None:
        """Record the row of a content."""
        self._connection.execute(
            "INSERT OR IGNORE INTO contents VALUES (?, ?, ?, ?, ?)",
            (
                sha256,
                row.score,
                row.verdict,
                row.recognised,
                json.dumps(row.to_json(), allow_nan=False),
            ),
        )

    def close_image(self, image: Pending, sha256: str) -> None:
        """Record that a file has this content, which already has a row."""
        self._connection.execute("UPDATE images SET sha256 = ? WHERE id = ?", (sha256, image.id))

    def fail_image(self, image: Pending, reason: str) -> None:
        """Record that a file could not be read, and why."""
        self._connection.execute("UPDATE images SET error = ? WHERE id = ?", (reason, image.id))

    # Results

    def counts(self) -> tuple[int, int]:
        """Return the number of finished files and the number of all files."""
        done, total = self._connection.execute(
            "SELECT COUNT(sha256) + COUNT(error), COUNT(*) FROM images"
        ).fetchone()
        return done, total

    def rows(self) -> Iterator[ScannedFile]:
        """Yield every result, sorted by path, so that the order of the work does not matter."""
        rows = self._connection.execute(
            "SELECT path, sha256, error, row FROM done WHERE NOT no_image ORDER BY path"
        )
        yield from map(_scanned_file, rows)

    def most_suspicious(self, limit: int) -> list[ScannedFile]:
        """Return the `limit` results with the highest scores, highest first, each distinct content once."""
        rows = self._connection.execute(
            "WITH top AS (SELECT * FROM contents WHERE score IS NOT NULL "
            "             ORDER BY score DESC, sha256 LIMIT ?) "
            "SELECT MIN(path), top.sha256, NULL, row FROM top JOIN images USING (sha256) "
            "GROUP BY top.sha256 ORDER BY top.score DESC, top.sha256",
            (limit,),
        )
        return [_scanned_file(row) for row in rows]

    def failures(self, limit: int) -> list[ScannedFile]:
        """Return the first `limit` results without a report, by path; their rows give the reason."""
        rows = self._connection.execute(
            "SELECT path, sha256, error, row FROM done "
            "WHERE NOT no_image AND verdict IS NULL ORDER BY path LIMIT ?",
            (limit,),
        )
        return [_scanned_file(row) for row in rows]

    def tally(self) -> Tally:
        """Return the totals of the scan so far."""
        verdicts: Counter[str] = Counter()
        images = errors = contents = no_images = 0
        for verdict, no_image, files, distinct in self._connection.execute(
            "SELECT verdict, no_image, COUNT(*), COUNT(DISTINCT sha256) FROM done GROUP BY verdict, no_image"
        ):
            if no_image:
                no_images += files
                continue
            images += files
            contents += distinct
            if verdict is None:
                errors += files
            else:
                verdicts[verdict] += files
        (unread,) = self._connection.execute("SELECT COUNT(error) FROM images").fetchone()
        return Tally(images, dict(verdicts), errors, images - unread - contents, no_images)


def _scanned_file(columns: tuple[str, str | None, str | None, str | None]) -> ScannedFile:
    path, sha256, error, document = columns
    if document is None:
        return ScannedFile(path, None, ScanRow.failed(error or ""))
    return ScannedFile(path, sha256, ScanRow.from_json(json.loads(document)))


def _without_code(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in about.items() if name != "code"}
