#!/usr/bin/env python
"""What a scan of many images costs: how many it examines, and what it holds while it does.

    benchmarks/scan.py throughput --data PHOTOS     # a scan beside one `analyze` after the other
    benchmarks/scan.py memory --files 20000         # memory over many small files, of all processes
    benchmarks/scan.py bookkeeping --files 20000    # the scan alone, around an examiner that does nothing

Throughput is measured alternately, as whatever else runs on the machine decides it: each round has both, and
the ratio is the median of the rounds'. CPU seconds are those of all processes. Needs Linux, whose /proc
tells the memory of another process.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np

from tamperscope import Detector
from tamperscope.bundle import Bundle
from tamperscope.images import read_image
from tamperscope.scanning.files import Skipped, find
from tamperscope.scanning.finding import Examination, Examiner, Finding, Outcome, open_examiner
from tamperscope.scanning.journal import Journal
from tamperscope.scanning.local import LocalPool, cores
from tamperscope.scanning.scan import Watch, scan

_LARGEST = 50_000_000


@click.group()
def main() -> None:
    """Measure scans."""


@main.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--images", default=24, help="Images in each round.")
@click.option("--rounds", default=3)
def throughput(data: Path, images: int, rounds: int) -> None:
    """Compare a scan with one `analyze` after the other, each with every core."""
    found = sorted(find([str(data)], (), Skipped()), key=lambda file: file.path)
    step = max(1, len(found) // images)
    paths = [Path(file.path) for file in found[::step]][:images]
    cache = Path(tempfile.mkdtemp())
    detector = Detector.load(cache=cache)
    load = partial(open_examiner, Bundle.load().path, Examination(), cache)
    detector.warm_up()
    print(f"{len(paths)} images, {cores()} cores. Both are loaded before the clock starts.\n")
    print("| round | analyze, images/s | CPU s | scan, images/s | CPU s | ratio |\n|---|---|---|---|---|---|")
    ratios = []
    for number in range(1, rounds + 1):
        one = _measure(lambda: [detector.analyze(read_image(path)) for path in paths])
        many = _scan_of(paths, load)
        ratios.append(one.wall / many.wall)
        print(
            f"| {number} | {len(paths) / one.wall:.2f} | {one.cpu:.1f} | {len(paths) / many.wall:.2f} "
            f"| {many.cpu:.1f} | {ratios[-1]:.2f} |",
            flush=True,
        )
    print(f"\nMedian ratio {statistics.median(ratios):.2f}.")


@main.command()
@click.option("--files", default=20_000)
@click.option("--side", default=64, help="Pixels of each image's sides.")
def memory(files: int, side: int) -> None:
    """Print the memory of a scan and of its workers, with the real networks, as files go by."""
    _print_memory(files, side, partial(open_examiner, Bundle.load().path, Examination(use_evidence=False)))


@main.command()
@click.option("--files", default=20_000)
def bookkeeping(files: int) -> None:
    """Print memory and rate of a scan whose examiner does nothing."""
    _print_memory(files, 16, _Idle)


@dataclass(frozen=True)
class _Cost:
    wall: float
    cpu: float


def _measure(work: Callable[[], object]) -> _Cost:
    wall, cpu = time.perf_counter(), _cpu_seconds()
    work()
    return _Cost(time.perf_counter() - wall, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    """Of this process and of those it started, running or ended."""
    mine = os.times()
    ticks = 0
    for child in _children():
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return sum(mine[:4]) + ticks / os.sysconf("SC_CLK_TCK")


def _scan_of(paths: list[Path], load: Callable[[], Examiner]) -> _Cost:
    async def work() -> _Cost:
        with tempfile.TemporaryDirectory() as folder, Journal.open(Path(folder) / "journal", {}) as journal:
            async with LocalPool(load, cores(), _LARGEST) as pool:
                # A worker that has not seen an image yet still allocates what the networks need.
                wall, cpu = time.perf_counter(), _cpu_seconds()
                await scan(find(map(str, paths), (), Skipped()), pool, journal)
                return _Cost(time.perf_counter() - wall, _cpu_seconds() - cpu)

    return asyncio.run(work())


def _print_memory(files: int, side: int, load: Callable[[], Examiner]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_pictures(folder / "photos", files, side)
        print("| files done | scan, MB | workers, MB | files/s so far | CPU ms per file |")
        print("|---|---|---|---|---|")
        began, cpu = time.perf_counter(), _cpu_seconds()
        steps = {round(files * share) for share in (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)}

        def watch(done: int, _total: int, _all_listed: bool) -> None:
            if done in steps:
                steps.discard(done)
                workers = sum(_resident_mb(child) for child in _children())
                print(
                    f"| {done:,} | {_resident_mb(os.getpid()):.0f} | {workers:.0f} "
                    f"| {done / (time.perf_counter() - began):.0f} "
                    f"| {1000 * (_cpu_seconds() - cpu) / done:.1f} |",
                    flush=True,
                )

        asyncio.run(_scan_folder(folder, load, watch))


async def _scan_folder(folder: Path, load: Callable[[], Examiner], watch: Watch) -> None:
    with Journal.open(folder / "journal", {}) as journal:
        async with LocalPool(load, cores(), _LARGEST) as pool:
            await scan(find([str(folder / "photos")], (), Skipped()), pool, journal, watch=watch)


def _make_pictures(folder: Path, count: int, side: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        parent = folder / f"{number // 1000:04}"
        parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(parent / f"{number:06}.jpg"), rng.integers(0, 256, (side, side, 3), np.uint8))


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


def _resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class _Idle(Examiner):
    """Says the same of every content, at once."""

    def __init__(self) -> None:
        pass

    def examine(self, data: bytes) -> Outcome:
        return Outcome(Finding(verdict="authentic", score=0.0, type="splicing", byte_count=len(data)))


if __name__ == "__main__":
    main()
