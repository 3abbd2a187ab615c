from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from examiners import LARGEST, FailingLoad, LoggedLoad, Unloadable, scan_folder, scan_here
from tamperscope.errors import BundleError, ScanError
from tamperscope.scanning.cluster import ClusterPool

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = [
    pytest.mark.cluster,
    # Ray leaves its sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


LONGEST_SECONDS = 120
"""A test takes half of it on a machine on which many others work."""
HEALTH = {"health_check_period_ms": 500, "health_check_timeout_ms": 60_000}
"""A machine that is killed is missed within seconds, one that is merely starved is not taken for dead: Ray
would end it, and a scan that has lost every machine waits for others to join, which none does here.
"""


@contextmanager
def bounded() -> Iterator[None]:
    """End what takes too long, say where every thread was by then, and end its cleaning up likewise."""

    def end(*_: object) -> None:
        faulthandler.dump_traceback(file=sys.__stderr__)
        pytest.fail(f"It took more than {LONGEST_SECONDS} seconds.")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS, LONGEST_SECONDS / 10)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    with bounded():
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A machine that only leads, and two with one core each: all of them are this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Ray reads this when it is imported: without it, it takes 127.0.0.1 for the machine's other address.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # The machines start with this, and find there what they are to load.
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        from ray.cluster_utils import Cluster

        with bounded():
            started = Cluster(
                initialize_head=True, head_node_args={**_node(cores=0), "_system_config": HEALTH}
            )
            for _ in range(2):
                started.add_node(**_node(cores=1))
        yield started
        with bounded():
            started.shutdown()


def _node(cores: int) -> dict[str, Any]:
    return {
        "node_ip_address": "127.0.0.1",
        "num_cpus": cores,
        "object_store_memory": 100_000_000,
        "include_dashboard": False,
    }


def test_a_cluster_says_what_one_machine_says_and_loads_once_for_each_core(
    cluster: Cluster, photos: Path, tmp_path: Path
) -> None:
    load = LoggedLoad(tmp_path / "log", together=2)

    rows = scan_folder(photos, ClusterPool(cluster.address, load, LARGEST), tmp_path / "cluster")

    assert len(rows) == 16
    # Twice at the start, and once more after the file that ends its process.
    assert load.loads == 3
    # Two of the sixteen are copies.
    assert len(load.examined) == len(set(load.examined)) == 14
    assert rows == scan_here(LoggedLoad(tmp_path / "here"), photos, tmp_path / "here.journal")


def test_what_cannot_be_loaded_on_the_cluster_ends_the_scan(
    cluster: Cluster, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="no bundle here"):
        scan_folder(photos, ClusterPool(cluster.address, FailingLoad(), LARGEST), tmp_path / "journal")


def test_machines_that_lack_what_is_needed_end_the_scan(
    cluster: Cluster, photos: Path, tmp_path: Path
) -> None:
    pool = ClusterPool(cluster.address, Unloadable(), LARGEST)
    with pytest.raises(ScanError, match="do all of its machines have this version"):
        scan_folder(photos, pool, tmp_path / "journal")


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        ClusterPool("127.0.0.1:1", LoggedLoad(tmp_path), LARGEST)


def test_a_machine_that_is_lost_costs_no_image(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    (photos / "poison.jpg").unlink()
    machines = [cluster.add_node(**_node(cores=1))]

    def lose_one(done: int, total: int, all_listed: bool) -> None:
        if done == 4 and machines:
            cluster.remove_node(machines.pop(), allow_graceful=False)

    pool = ClusterPool(cluster.address, LoggedLoad(tmp_path / "log", together=3), LARGEST)
    rows = scan_folder(photos, pool, tmp_path / "cluster", lose_one)

    assert not machines
    assert rows == scan_here(LoggedLoad(tmp_path / "here"), photos, tmp_path / "here.journal")
