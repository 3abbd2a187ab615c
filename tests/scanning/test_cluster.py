from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from examiners import FailingLoad, LoggedLoad
from tamperscope.errors import BundleError, ScanError
from tamperscope.scanning.cluster import ClusterPool
from tamperscope.scanning.files import Skipped, find
from tamperscope.scanning.finding import Examiner
from tamperscope.scanning.journal import Journal, Row
from tamperscope.scanning.local import LocalPool
from tamperscope.scanning.scan import Fetched, Watch, scan

LARGEST = 1_000_000

# Ray leaves its sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A machine that only leads, and two with one core each: all of them are this one."""
    started = Cluster(initialize_head=True, head_node_args=_node(cores=0))
    for _ in range(2):
        started.add_node(**_node(cores=1))
    yield started
    started.shutdown()


def _node(cores: int) -> dict[str, Any]:
    return {
        "node_ip_address": "127.0.0.1",
        "num_cpus": cores,
        "object_store_memory": 100_000_000,
        "include_dashboard": False,
    }


@pytest.fixture
def loads(tmp_path: Path) -> Path:
    folder = tmp_path / "loads"
    folder.mkdir()
    return folder


class CountingPool(ClusterPool):
    """Notes how many images are in work at the same time, at most."""

    held = most_held = 0

    async def fetch(self, path: str) -> Fetched[Any]:
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        return await super().fetch(path)


def on_cluster(
    cluster: Cluster,
    load: Callable[[], Examiner],
    photos: Path,
    journal: Path,
    watch: Watch = lambda *_: None,
) -> list[Row]:
    return _scan(ClusterPool(cluster.address, load, LARGEST), photos, journal, watch)


def here(load: Callable[[], Examiner], photos: Path, journal: Path) -> list[Row]:
    return _scan(LocalPool(load, 1, LARGEST), photos, journal)


def _scan(
    pool: ClusterPool | LocalPool, photos: Path, journal: Path, watch: Watch = lambda *_: None
) -> list[Row]:
    async def work() -> list[Row]:
        with Journal.open(journal, {}) as opened:
            async with pool:
                await scan(find([str(photos)], (), Skipped()), pool, opened, watch=watch)
            return list(opened.rows())

    return asyncio.run(work())


def test_a_cluster_says_what_one_machine_says_and_loads_once_for_each_core(
    cluster: Cluster, photos: Path, loads: Path, tmp_path: Path
) -> None:
    rows = on_cluster(cluster, LoggedLoad(loads), photos, tmp_path / "cluster")
    # Twice at the start, and once more after the file that ends its process.
    assert len(list(loads.iterdir())) == 3

    assert len(rows) == 16
    assert rows == here(LoggedLoad(loads), photos, tmp_path / "here")


def test_what_cannot_be_loaded_on_the_cluster_ends_the_scan(
    cluster: Cluster, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="no bundle here"):
        on_cluster(cluster, FailingLoad(), photos, tmp_path / "journal")


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no Ray cluster at 127.0.0.1:1"):
        ClusterPool("127.0.0.1:1", LoggedLoad(tmp_path), LARGEST)


def test_a_machine_that_is_lost_costs_no_image(
    cluster: Cluster, photos: Path, loads: Path, tmp_path: Path
) -> None:
    (photos / "poison.jpg").unlink()
    machines = [cluster.add_node(**_node(cores=1))]

    def lose_one(done: int, total: int, all_listed: bool) -> None:
        if done == 4 and machines:
            cluster.remove_node(machines.pop(), allow_graceful=False)

    rows = on_cluster(cluster, LoggedLoad(loads), photos, tmp_path / "cluster", lose_one)

    assert not machines
    assert rows == here(LoggedLoad(loads), photos, tmp_path / "here")
