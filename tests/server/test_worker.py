"""Worker processes, with real signals, a real Redis and a real PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import samples
from tamperscope.cli import main
from tamperscope.client import Client
from tamperscope.errors import SettingsError
from tamperscope.jobs.model import Submission, SubmittedImage
from tamperscope.jobs.queue import MOST_ATTEMPTS, JobQueue
from tamperscope.server import worker
from tamperscope.settings import Settings
from tamperscope.store import AnalysisStore, Database

TESTS = Path(__file__).parents[1]

# A process with a fake detector that prints a line for each image. An image without any red kills the
# process, as a broken decoder would. An image that is all white blocks it until it is killed.
PROCESS = """
import json, os, signal, sys, threading, types
import tamperscope.detector
from fakes import FakeDetector
from tamperscope.server import serve, worker
from tamperscope.settings import Settings

class Detector(FakeDetector):
    def analyze(self, image, **options):
        print("analysing", flush=True)
        if not image.pixels[..., 0].any():
            os.kill(os.getpid(), signal.SIGKILL)
        if image.pixels.min() == 255 and os.environ.get("HOLDS"):
            print("holding", flush=True)
            threading.Event().wait()
        return super().analyze(image, **options)

tamperscope.detector.Detector = types.SimpleNamespace(load=lambda *args, **kwargs: Detector())
{"serve": serve, "worker": worker}[sys.argv[1]].run(Settings(**json.loads(sys.argv[2])))
"""


@contextmanager
def process(
    kind: str, settings: dict[str, object], *, holds: bool = False
) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    if holds:
        environment["HOLDS"] = "1"
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS, kind, json.dumps(settings)],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def until(running: subprocess.Popen[str], word: str) -> str:
    assert running.stdout is not None
    return next(line for line in running.stdout if word in line)


@contextmanager
def supervised(settings: dict[str, object], exits: list[int]) -> Iterator[None]:
    """Run a worker and restart it whenever it ends, as systemd and Kubernetes do; record each exit status."""
    stopping = threading.Event()
    running: list[subprocess.Popen[str]] = []

    def supervise() -> None:
        while not stopping.is_set():
            with process("worker", settings) as current:
                running[:] = [current]
                if stopping.is_set():
                    return
                exits.append(current.wait())

    thread = threading.Thread(target=supervise)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        for each in running:
            each.terminate()
        thread.join()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_survives_a_worker_that_is_killed_and_an_image_that_kills_workers(redis, database_url):
    shared = {"port": 0, "database": database_url, "redis": redis, "job_lease": 3}
    photos = [samples.encode(samples.photo(seed=seed)) for seed in range(10)]
    holding = samples.encode(np.full((48, 64, 3), 255, np.uint8), "PNG")
    poisoned = samples.encode(samples.photo() * np.array([0, 1, 1], np.uint8), "PNG")
    images = [photos[0], holding, *photos[1:5], poisoned, *photos[5:]]
    exits: list[int] = []

    with process("serve", shared) as server:
        client = Client(until(server, "is listening on").split()[-1])
        with process("worker", shared, holds=True) as first:
            until(first, "is processing jobs")
            job = client.submit(images)
            until(first, "holding")
            first.kill()
        with supervised(shared, exits), supervised(shared, exits):
            results = list(client.results(job.id, poll=0.2))
        ended = client.job(job.id)
        server.terminate()
        assert server.wait(timeout=60) == 0

    assert sorted(result.number for result in results) == list(range(len(images)))
    assert [(result.number, result.problem.type) for result in results if result.problem] == [
        (6, "urn:tamperscope:problem:worker-died")
    ]
    analyses = [result.analysis.id for result in results if result.analysis]
    assert len(analyses) == len(set(analyses)) == len(images) - 1
    assert (ended.state, ended.images.done, ended.images.failed) == ("completed", len(images) - 1, 1)
    assert exits.count(-signal.SIGKILL) == MOST_ATTEMPTS
    store = AnalysisStore(Database(database_url))
    assert {summary.id for summary in store.list(owner="", limit=100)} == set(analyses)
    store.close()


def test_a_worker_finishes_the_image_in_progress_and_serves_its_metrics(redis, tmp_path):
    database = f"sqlite:///{tmp_path / 'analyses.db'}"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shared = {"database": database, "redis": redis, "metrics_port": port}
    with process("worker", shared) as running:
        until(running, "is processing jobs")
        jobs = JobQueue(Database(database))
        photo = samples.encode(samples.photo())
        job, _ = jobs.submit(Submission(owner=""), [SubmittedImage("a.jpg", photo)] * 2)
        until(running, "analysing")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as metrics:
            assert b"tamperscope_stage_seconds" in metrics.read()

        running.terminate()

        assert running.wait(timeout=60) == 0
    assert jobs.get(job.id, owner="").done >= 1
    assert jobs.backlog().running == 0


def test_a_worker_needs_redis():
    with pytest.raises(SettingsError, match="--redis"):
        worker.start(Settings(redis=None), pytest.fail)


def test_its_help_has_an_example():
    assert "tamperscope worker    #" in CliRunner().invoke(main, ["worker", "--help"]).output
