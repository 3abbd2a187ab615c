"""How our own processes use the cores. Each test starts a new process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tamperscope.bundle import Bundle
from tamperscope.cores import cores

pytestmark = pytest.mark.skipif(cores() < 2, reason="needs two cores")

BLAS_OF_AN_EXAMINER = """
import json, sys, threadpoolctl
from pathlib import Path
from tamperscope.scanning.examination import Examination, open_examiner

open_examiner(Path(sys.argv[1]), Examination())
print(json.dumps([pool["num_threads"] for pool in threadpoolctl.threadpool_info()
                  if pool["user_api"] == "blas"]))
"""

CORES_OF_AN_INFERENCE = """
import json, os, sys, threading
import numpy as np
from tamperscope.bundle import Bundle
from tamperscope.inference.runtime import Runtime

runtime = Runtime(Bundle.load(sys.argv[1]), threads=1)
tile = np.zeros((640, 640, 3), np.uint8)
enough = threading.Event()

def run():
    while not enough.is_set():
        runtime.run(tile)

thread = threading.Thread(target=run)
thread.start()
seen = [len(os.sched_getaffinity(thread.native_id)) for _ in range(500) if not enough.wait(0.001)]
enough.set()
print(json.dumps(sorted(set(seen))))
"""


def output_of(program: str, bundle: Bundle) -> list[int]:
    run = subprocess.run(
        [sys.executable, "-c", program, str(bundle.path)], capture_output=True, text=True, check=True
    )
    numbers: list[int] = json.loads(run.stdout)
    return numbers


def test_an_examiner_limits_blas_to_one_thread(joint_bundle: Bundle) -> None:
    threads = output_of(BLAS_OF_AN_EXAMINER, joint_bundle)
    assert threads
    assert set(threads) == {1}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_single_threaded_processes_are_not_all_pinned_to_the_first_core(joint_bundle: Bundle) -> None:
    assert output_of(CORES_OF_AN_INFERENCE, joint_bundle) == [cores()]
