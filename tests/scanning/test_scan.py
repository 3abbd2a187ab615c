from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from examiners import KILLER, LARGEST, FailingLoad, FakeExaminer, LoggedLoad, scan_here
from tamperscope.errors import BundleError, ScanError
from tamperscope.scanning.examination import Examined
from tamperscope.scanning.files import Found, Skipped, find, read
from tamperscope.scanning.journal import Journal, ScannedFile
from tamperscope.scanning.local import LocalPool
from tamperscope.scanning.scan import Fetched, Pool, scan


class MemoryPool:
    """Examines in this process, and records what it examined and the most images it ever held."""

    capacity = 3

    def __init__(self, stop_after: int | None = None) -> None:
        self._examiner = FakeExaminer()
        self._stop_after = stop_after
        self._held = 0
        self.most_held = 0
        self.examined: list[str] = []

    async def fetch(self, path: str) -> Fetched[bytes]:
        self._held += 1
        self.most_held = max(self.most_held, self._held)
        await asyncio.sleep(0)
        data = read(path, LARGEST)
        return Fetched(hashlib.sha256(data).hexdigest(), data)

    async def examine(self, fetched: Fetched[bytes]) -> Examined:
        if len(self.examined) == self._stop_after:
            raise KeyboardInterrupt
        self.examined.append(fetched.sha256)
        await asyncio.sleep(0)
        self._held -= 1
        return self._examiner.examine(fetched.content)


def run(pool: Pool[bytes], journal: Path, found: Iterable[Found]) -> list[ScannedFile]:
    with Journal.open(journal, {}) as opened:
        asyncio.run(scan(iter(found), pool, opened))
        return list(opened.rows())


def everything(folder: Path) -> Iterable[Found]:
    return find([str(folder)], (), Skipped())


def pictures(folder: Path, count: int, rng: np.random.Generator) -> Path:
    folder.mkdir()
    for number in range(count):
        PIL.Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def test_the_scan_holds_no_more_images_than_the_capacity_of_the_pool(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    pool = MemoryPool()
    run(pool, tmp_path / "journal", everything(pictures(tmp_path / "photos", 40, rng)))
    assert len(pool.examined) == 40
    assert pool.most_held == pool.capacity


def test_equal_files_are_examined_once_even_concurrently(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = pictures(tmp_path / "photos", 1, rng)
    for number in range(1, 10):
        shutil.copy(folder / "0.png", folder / f"{number}.png")
    pool = MemoryPool()

    rows = run(pool, tmp_path / "journal", everything(folder))

    assert len(pool.examined) == 1
    assert len(rows) == 10
    assert all(file.row == rows[0].row for file in rows)


def test_a_stopped_scan_continues_without_repeating_work(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = pictures(tmp_path / "photos", 20, rng)
    whole = run(MemoryPool(), tmp_path / "whole", everything(folder))
    first, second = MemoryPool(stop_after=7), MemoryPool()

    with pytest.raises(KeyboardInterrupt):
        run(first, tmp_path / "journal", everything(folder))
    rows = run(second, tmp_path / "journal", everything(folder))

    assert rows == whole
    # Only the images in progress when it stopped are examined again.
    twice = set(first.examined) & set(second.examined)
    assert len(twice) < first.capacity
    assert len(first.examined) + len(second.examined) - len(twice) == 20


def test_a_scan_stops_while_its_list_is_open_and_silent(tmp_path: Path) -> None:
    asked, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    def silent() -> Iterator[Found]:
        asked.set()
        goes_on.wait(10)
        ended.set()
        yield from ()

    async def stop(journal: Journal) -> None:
        scanning = asyncio.create_task(scan(silent(), MemoryPool(), journal))
        await asyncio.to_thread(asked.wait, 10)
        scanning.cancel()
        await asyncio.wait([scanning])

    with Journal.open(tmp_path / "journal", {}) as journal:
        asyncio.run(stop(journal))

    assert asked.is_set()
    assert not ended.is_set()
    goes_on.set()


def test_a_full_disk_ends_the_scan_with_the_reason_and_it_continues_later(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    folder = pictures(tmp_path / "photos", 20, rng)
    path = tmp_path / "journal"

    with Journal.open(path, {}) as journal:
        (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
        journal._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(ScanError, match=f"{path} cannot be written: database or disk is full"):
            asyncio.run(scan(iter(everything(folder)), MemoryPool(), journal))

    assert len(run(MemoryPool(), path, everything(folder))) == 20


def test_a_file_whose_name_is_not_utf8_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = pictures(tmp_path / "photos", 1, rng)
    odd = os.fsencode(folder) + b"/caf\xe9.png"
    (folder / "0.png").rename(os.fsdecode(odd))

    (row,) = run(MemoryPool(), tmp_path / "journal", everything(folder))

    assert os.fsencode(row.path) == odd
    assert row.row.verdict


def test_a_file_that_ends_its_process_loses_only_its_own_result(photos: Path, tmp_path: Path) -> None:
    load = LoggedLoad(tmp_path / "log")

    errors = {Path(row.path).name: row.row.error for row in scan_here(load, photos, tmp_path / "journal")}

    assert len(errors) == 16
    assert {name for name, error in errors.items() if error} == {"broken.png", "poison.jpg"}
    assert errors["poison.jpg"] == "The analysis process ended unexpectedly."
    assert load.loads == 2


def test_a_killed_scan_continues_without_repeating_work(photos: Path, tmp_path: Path) -> None:
    (photos / "05b.png").write_bytes(KILLER)
    load = LoggedLoad(tmp_path / "log")

    killed = multiprocessing.get_context("spawn").Process(
        target=scan_here, args=(load, photos, tmp_path / "journal")
    )
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    before = len(load.examined)
    rows = scan_here(load, photos, tmp_path / "journal")

    (photos / "poison.jpg").unlink()
    whole = run(MemoryPool(), tmp_path / "whole.journal", everything(photos))
    assert [row for row in rows if not row.path.endswith("poison.jpg")] == whole
    # There is one worker, so only the file that killed the scan was in progress.
    assert 0 < before < len(load.examined) == len(set(load.examined)) + 1


def test_a_pool_raises_the_error_of_its_load(tmp_path: Path) -> None:
    async def work() -> None:
        async with LocalPool(FailingLoad(), workers=1, largest=LARGEST):
            pass

    with pytest.raises(BundleError, match="no bundle here"):
        asyncio.run(work())
