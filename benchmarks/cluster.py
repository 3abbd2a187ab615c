#!/usr/bin/env python
"""The cluster pool beside the same work as a Ray Data pipeline, on two machines that are both this one.

    pip install 'ray[data]' && benchmarks/cluster.py

Half of the files are copies of others. An examination waits 20 ms instead of computing, so that what is
measured is what each way adds. Then the same again, and a machine is killed when a quarter is done: how many
contents are examined twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import ray
import ray.data
from ray.cluster_utils import Cluster

from tamperscope.scanning.cluster import ClusterPool
from tamperscope.scanning.files import Skipped, find, read
from tamperscope.scanning.finding import Examiner, Finding, Outcome
from tamperscope.scanning.journal import Journal
from tamperscope.scanning.scan import scan

_LARGEST = 1_000_000
_SECONDS = 0.02
# What a Ray Data task hands on at once; smaller costs time, larger costs more when a machine is lost.
_FILES_IN_A_BLOCK = 8


@click.command()
@click.option("--files", default=400)
def main(files: int) -> None:
    print("| way | machine killed | files/s | first finding after, s | examined | of so many contents |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = _make_files(folder / "files", files)
        for kill in (False, True):
            for title, way in (("this package", _ours), ("Ray Data", _ray_data)):
                log = folder / f"{title}-{kill}"
                log.mkdir()
                run = _run(way, folder / "files", log, files // 4 if kill else None)
                examined = len(list(log.iterdir()))
                print(
                    f"| {title} | {'yes' if kill else 'no'} | {files / run.seconds:.0f} | {run.first:.1f} "
                    f"| {examined} | {contents} |",
                    flush=True,
                )
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"\nHighest memory of this process: {highest:.0f} MB.")


@dataclass(frozen=True)
class _Run:
    seconds: float
    first: float


def _run(way: Callable[..., None], files: Path, log: Path, kill_at: int | None) -> _Run:
    node = {"node_ip_address": "127.0.0.1", "object_store_memory": 200_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0})
    machines = [cluster.add_node(**node, num_cpus=1) for _ in range(2)]
    began = time.perf_counter()
    first = 0.0

    def watch(done: int) -> None:
        nonlocal first
        if done == 1:
            first = time.perf_counter() - began
        if kill_at is not None and done >= kill_at and len(machines) == 2:
            cluster.remove_node(machines.pop(), allow_graceful=False)

    try:
        way(cluster.address, files, log, watch)
        return _Run(time.perf_counter() - began, first)
    finally:
        ray.shutdown()
        cluster.shutdown()


def _ours(address: str, files: Path, log: Path, watch: Callable[[int], None]) -> None:
    # By its name, and not as what runs: other processes look its classes up.
    import cluster as this

    async def work() -> None:
        with Journal.open(log.with_suffix(".journal"), {}) as journal:
            async with ClusterPool(address, this._Load(log), _LARGEST, workers=2) as pool:
                await scan(
                    find([str(files)], (), Skipped()), pool, journal, watch=lambda done, *_: watch(done)
                )

    asyncio.run(work())


def _ray_data(address: str, files: Path, log: Path, watch: Callable[[int], None]) -> None:
    ray.init(address=address, configure_logging=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    paths = [{"path": file.path} for file in find([str(files)], (), Skipped())]
    dataset = ray.data.from_items(paths, override_num_blocks=max(1, len(paths) // _FILES_IN_A_BLOCK))
    findings = dataset.map(_read).map_batches(
        _Actor, fn_constructor_args=(str(log),), batch_size=1, concurrency=2, num_cpus=1
    )
    for done, _ in enumerate(findings.iter_rows(), 1):
        watch(done)


def _read(row: dict[str, Any]) -> dict[str, Any]:
    content = read(row["path"], _LARGEST)
    return {"path": row["path"], "sha256": hashlib.sha256(content).hexdigest(), "content": content}


class _Actor:
    def __init__(self, log: str) -> None:
        self._examiner = _Waiting(Path(log))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        outcomes = [self._examiner.examine(bytes(content)) for content in batch["content"]]
        return {
            "path": batch["path"],
            "sha256": batch["sha256"],
            "score": np.array([outcome.finding.score for outcome in outcomes]),
        }


@dataclass(frozen=True)
class _Load:
    log: Path

    def __call__(self) -> Examiner:
        return _Waiting(self.log)


class _Waiting(Examiner):
    def __init__(self, log: Path) -> None:
        self._log = log

    def examine(self, data: bytes) -> Outcome:
        time.sleep(_SECONDS)
        handle, _ = tempfile.mkstemp(dir=self._log)
        os.close(handle)
        return Outcome(Finding(verdict="authentic", score=0.0, type="splicing", byte_count=len(data)))


def _make_files(folder: Path, count: int) -> int:
    folder.mkdir()
    contents = count // 2
    for number in range(count):
        (folder / f"{number:05}.jpg").write_bytes(f"{number % contents}".encode())
    return contents


if __name__ == "__main__":
    main()
