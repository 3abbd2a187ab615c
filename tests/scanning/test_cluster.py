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
"""A test takes half of this on a busy machine."""
HEALTH = {"health_check_period_ms": 500, "health_check_timeout_ms": 60_000}
"""Ray notices a killed machine within seconds, but does not declare a machine dead that is merely starved.
Otherwise Ray would end it, and a scan without any machine waits for others to join. None joins here.
"""


@contextmanager
def bounded() -> Iterator[None]:
    """End a block that takes too long, and print the stacks of all threads; its clean-up has a limit too."""

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
    """A head node without cores, and two nodes with one core each, all on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Ray reads this on import. Without it, Ray replaces 127.0.0.1 by the machine's other address.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # The nodes inherit this, and import from it what they load.
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


def test_a_cluster_returns_the_rows_of_one_machine_and_loads_once_per_core(
    cluster: Cluster, photos: Path, tmp_path: Path
) -> None:
    load = LoggedLoad(tmp_path / "log", together=2)

    rows = scan_folder(photos, ClusterPool(cluster.address, load, LARGEST), tmp_path / "cluster")

    assert len(rows) == 16
    # Two at the start, and one more after the file that ends its process.
    assert load.loads == 3
    # Two of the sixteen are copies.
    assert len(load.examined) == len(set(load.examined)) == 14
    assert rows == scan_here(LoggedLoad(tmp_path / "here"), photos, tmp_path / "here.journal")


def test_an_error_on_loading_ends_the_scan(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle here"):
        scan_folder(photos, ClusterPool(cluster.address, FailingLoad(), LARGEST), tmp_path / "journal")


def test_machines_that_lack_a_package_end_the_scan(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    pool = ClusterPool(cluster.address, Unloadable(), LARGEST)
    with pytest.raises(ScanError, match="Check that all of its machines have this version"):
        scan_folder(photos, pool, tmp_path / "journal")


def test_a_missing_cluster_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        ClusterPool("127.0.0.1:1", LoggedLoad(tmp_path), LARGEST)


def test_losing_a_machine_loses_no_image(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    (photos / "poison.jpg").unlink()
    machines = [cluster.add_node(**_node(cores=1))]

    def lose_one(done: int, total: int, all_listed: bool) -> None:
        if done == 4 and machines:
            cluster.remove_node(machines.pop(), allow_graceful=False)

    pool = ClusterPool(cluster.address, LoggedLoad(tmp_path / "log", together=3), LARGEST)
    rows = scan_folder(photos, pool, tmp_path / "cluster", lose_one)

    assert not machines
    assert rows == scan_here(LoggedLoad(tmp_path / "here"), photos, tmp_path / "here.journal")
