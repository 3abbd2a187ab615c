#!/usr/bin/env python
"""Measure the throughput and the memory of a scan of many images.

    benchmarks/scan.py throughput --data PHOTOS             # a scan, compared with sequential `analyze` calls
    benchmarks/scan.py memory --data PHOTOS --files 1000    # memory of all processes over many small photos
    benchmarks/scan.py bookkeeping --files 20000            # the scan around an examiner that does nothing
    benchmarks/scan.py plan --core-seconds 0.5              # what a billion images need at such a cost

Throughput depends on what else runs on the machine, so the ways are measured alternately: each round runs
every way once, and the medians over the rounds are printed. CPU seconds are those of all processes. Needs
Linux, where /proc shows the memory of other processes.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tamperscope import Detector
from tamperscope.bundle import Bundle
from tamperscope.cores import cores
from tamperscope.images import read_image
from tamperscope.scanning.examination import Examination, Examined, Examiner, ScanRow, open_examiner
from tamperscope.scanning.files import Skipped, find
from tamperscope.scanning.journal import Journal
from tamperscope.scanning.local import LocalPool
from tamperscope.scanning.scan import Watch, scan

_LARGEST = 50_000_000
_ALL_THREADS = "`Detector.analyze` in a loop, BLAS with all threads"
_ONE_THREAD = "the same, BLAS with one thread"
_STARTS = "`tamperscope analyze FILE` for each file"
_ANALYZE = "`tamperscope analyze FILE...`, the whole command"
_SCAN = "the scan alone, its processes loaded"
_COMMAND = "`tamperscope scan`, the whole command"


@click.group()
def main() -> None:
    """Measure scans."""


@main.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--images", default=24, help="Images in each round.")
@click.option("--starts", default=6, help="How many of them are analysed by a command of their own.")
@click.option("--rounds", default=3)
def throughput(data: Path, images: int, starts: int, rounds: int) -> None:
    """Compare a scan with sequential `analyze` calls, each using every core."""
    paths = _sample(data, images)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        detector = Detector.load(cache=cache)
        load = partial(open_examiner, Bundle.load().path, Examination(), cache)

        def in_a_loop() -> _Cost:
            return _measure(lambda: [detector.analyze(read_image(path)) for path in paths], len(paths))

        def in_a_loop_with_one_thread() -> _Cost:
            with threadpool_limits(1, user_api="blas"):
                return in_a_loop()

        ways: dict[str, Callable[[], _Cost]] = {
            _ALL_THREADS: in_a_loop,
            _ONE_THREAD: in_a_loop_with_one_thread,
            _STARTS: lambda: _measure(lambda: _analyze_each(paths[:starts], cache), starts),
            _ANALYZE: lambda: _measure(
                lambda: _tamperscope(cache, "analyze", "--json", *map(str, paths)), len(paths)
            ),
            _SCAN: lambda: _scan_of(paths, load),
            _COMMAND: lambda: _measure(lambda: _scan_command(paths, cache), len(paths)),
        }
        # The first pass compiles the networks and prepares the kernels for these image sizes.
        in_a_loop()
        _scan_command(paths[:1], cache)
        costs = {name: [] for name in ways}
        for _ in range(rounds):
            for name, measure in ways.items():
                costs[name].append(measure())
    print(f"{len(paths)} images, {cores()} cores, {rounds} rounds; {_STARTS}: {starts} of the images.\n")
    print("| way | images/s | CPU s per image | times the loop |\n|---|---|---|---|")
    for name, measured in costs.items():
        ratios = [loop.wall / cost.wall for loop, cost in zip(costs[_ONE_THREAD], measured, strict=True)]
        print(
            f"| {name} | {1 / statistics.median(cost.wall for cost in measured):.2f} "
            f"| {statistics.median(cost.cpu for cost in measured):.2f} | {statistics.median(ratios):.2f} |"
        )
    print("\nThe loop is the one whose BLAS has one thread, as in `tamperscope analyze`.")
    print(f"Bytes of one image: {statistics.mean(path.stat().st_size for path in paths):,.0f}.")


@main.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--files", default=1000)
@click.option("--side", default=256, help="Largest side in pixels; the smallest is half of it.")
def memory(data: Path, files: int, side: int) -> None:
    """Print the memory of a scan and of its workers over the course of a scan with the real networks."""
    pictures = _parts_of_photos(_sample(data, 100), side)
    _print_memory(pictures, files, partial(open_examiner, Bundle.load().path, Examination()))


@main.command()
@click.option("--files", default=20_000)
def bookkeeping(files: int) -> None:
    """Print memory and throughput of a scan whose examiner does nothing."""
    _print_memory(_noise(16), files, _Idle)


@main.command()
@click.option("--core-seconds", type=float, required=True, help="CPU s per image, from `throughput`.")
@click.option(
    "--own-seconds",
    type=float,
    default=0.001,
    help="CPU seconds of the scan's own process per image: CPU ms of `bookkeeping` / 1000.",
)
@click.option("--image-bytes", type=float, default=1e6, help="Bytes of one image.")
@click.option("--row-bytes", type=float, default=500.0, help="Bytes of one row of results.")
@click.option("--images", type=float, default=1e9)
@click.option("--days", type=float, default=14.0)
@click.option("--cores", "machine_cores", default=16, help="Cores of one machine.")
@click.option("--part", type=float, default=1e6, help="Images in one scan.")
def plan(
    core_seconds: float,
    own_seconds: float,
    image_bytes: float,
    row_bytes: float,
    images: float,
    days: float,
    machine_cores: int,
    part: float,
) -> None:
    """Print what many images need, from the cost of one image: the table of docs/guides/scaling.md."""
    seconds = 86_400 * days
    total = images * core_seconds / seconds
    print("| what | comes to |\n|---|---|")
    for what, comes_to in (
        ("cores", f"{total:,.0f}"),
        (f"machines of {machine_cores} cores", f"{math.ceil(total / machine_cores):,}"),
        ("core-hours", f"{images * core_seconds / 3600:,.0f}"),
        ("reading, all machines", f"{images * image_bytes / seconds / 1e6:,.0f} MB/s"),
        ("reading, each machine", f"{machine_cores * image_bytes / core_seconds / 1e6:,.1f} MB/s"),
        ("requests to the store", f"{images:,.0f}"),
        ("most cores that one scan feeds", f"{core_seconds / own_seconds:,.0f}"),
        ("results, before compression", f"{images * row_bytes / 1e9:,.0f} GB in {images / part:,.0f} tables"),
        (f"a part of {part:,.0f} images on all cores", f"{part * core_seconds / total / 60:,.0f} minutes"),
    ):
        print(f"| {what} | {comes_to} |")


def _sample(data: Path, count: int) -> list[Path]:
    found = sorted(file.path for file in find([str(data)], (), Skipped()))
    return [Path(path) for path in found[:: max(1, len(found) // count)]][:count]


@dataclass(frozen=True)
class _Cost:
    """Seconds for one image."""

    wall: float
    cpu: float


def _measure(work: Callable[[], object], images: int) -> _Cost:
    with _stopwatch(images) as costs:
        work()
    return costs[0]


@contextmanager
def _stopwatch(images: int) -> Iterator[list[_Cost]]:
    costs: list[_Cost] = []
    wall, cpu = time.perf_counter(), _cpu_seconds()
    yield costs
    costs.append(_Cost((time.perf_counter() - wall) / images, (_cpu_seconds() - cpu) / images))


def _analyze_each(paths: list[Path], cache: Path) -> None:
    for path in paths:
        _tamperscope(cache, "analyze", "--json", str(path))


def _scan_command(paths: list[Path], cache: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _tamperscope(cache, "scan", "-", "--out", f"{folder}/results.jsonl", stdin="\n".join(map(str, paths)))


def _tamperscope(cache: Path, *arguments: str, stdin: str = "") -> None:
    subprocess.run(
        [sys.executable, "-m", "tamperscope", *arguments],
        input=stdin,
        text=True,
        capture_output=True,
        check=True,
        env={**os.environ, "TAMPERSCOPE_CACHE": str(cache)},
    )


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children, running or ended."""
    mine = os.times()
    ticks = 0
    for child in _children():
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return sum(mine[:4]) + ticks / os.sysconf("SC_CLK_TCK")


def _scan_of(paths: list[Path], load: Callable[[], Examiner]) -> _Cost:
    async def work() -> _Cost:
        with tempfile.TemporaryDirectory() as folder:
            async with LocalPool(load, cores(), _LARGEST) as pool:
                # Each worker should have seen every image size, as the detector of the loop has.
                await _scan_once(paths, pool, Path(folder) / "first.journal")
                with _stopwatch(len(paths)) as costs:
                    await _scan_once(paths, pool, Path(folder) / "journal")
                return costs[0]

    return asyncio.run(work())


async def _scan_once(
    paths: list[Path], pool: LocalPool, journal: Path, watch: Watch = lambda *_: None
) -> None:
    with Journal.open(journal, {}) as opened:
        await scan(find(map(str, paths), (), Skipped()), pool, opened, watch=watch)


def _print_memory(pictures: Iterator[_Pixels], files: int, load: Callable[[], Examiner]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "photos", itertools.islice(pictures, files))
        print("Memory in MB; the peak so far in brackets.\n")
        print("| files done | scan | each of its workers | files/s so far | CPU ms per file |")
        print("|---|---|---|---|---|")
        began, cpu = time.perf_counter(), _cpu_seconds()
        steps = {round(files * share) for share in (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)}

        def watch(done: int, _total: int, _all_listed: bool) -> None:
            if done in steps:
                steps.discard(done)
                workers = ", ".join(map(_memory_of, _workers()))
                print(
                    f"| {done:,} | {_memory_of(os.getpid())} | {workers} "
                    f"| {done / (time.perf_counter() - began):.1f} "
                    f"| {1000 * (_cpu_seconds() - cpu) / done:.1f} |",
                    flush=True,
                )

        async def work() -> None:
            async with LocalPool(load, cores(), _LARGEST) as pool:
                await _scan_once([folder / "photos"], pool, folder / "journal", watch)

        asyncio.run(work())


_Pixels = NDArray[np.uint8]


def _parts_of_photos(photos: list[Path], side: int) -> Iterator[_Pixels]:
    """Yield crops of photos in many sizes, no two of them equal."""
    rng = np.random.default_rng(0)
    for photo in itertools.cycle(photos):
        pixels = read_image(photo).pixels[..., ::-1]
        height, width = (min(int(rng.integers(side // 2, side + 1)), size) for size in pixels.shape[:2])
        top, left = (
            int(rng.integers(size - part + 1))
            for size, part in zip(pixels.shape[:2], (height, width), strict=True)
        )
        yield np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _noise(side: int) -> Iterator[_Pixels]:
    rng = np.random.default_rng(0)
    while True:
        yield rng.integers(0, 256, (side, side, 3), np.uint8)


def _write(folder: Path, pictures: Iterator[_Pixels]) -> None:
    for number, pixels in enumerate(pictures):
        parent = folder / f"{number // 1000:04}"
        parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(parent / f"{number:06}.jpg"), pixels)


def _workers() -> list[int]:
    """Return the children that examine images, without the one that Python starts to track shared memory."""
    return [
        child
        for child in _children()
        if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def _children() -> list[int]:
    own = str(os.getpid())
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and fields[1] == own:
            found.append(int(entry.name))
    return found


def _memory_of(process: int) -> str:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines() if ":" in line
    )
    now, peak = (int(status[name].split()[0]) / 1000 for name in ("VmRSS", "VmHWM"))
    return f"{now:.0f} ({peak:.0f})"


class _Idle(Examiner):
    """Returns the same result for every content, at once."""

    def __init__(self) -> None:
        pass

    def examine(self, data: bytes) -> Examined:
        return Examined(ScanRow(verdict="authentic", score=0.0, type="splicing", byte_count=len(data)))


if __name__ == "__main__":
    main()
