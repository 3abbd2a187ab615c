"""The worker loop of one process."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from datetime import timedelta

import pytest

from tamperscope.errors import StoppingError, StoreError
from tamperscope.jobs import runner
from tamperscope.jobs.model import Failure, JobState, Submission, SubmittedImage
from tamperscope.jobs.queue import LEASE, MOST_ATTEMPTS
from tamperscope.jobs.runner import JobRunner
from tamperscope.jobs.wakeups import Wakeups
from tamperscope.jobs.webhooks import Postman

SUBMISSION = Submission(owner="")


def images(count: int) -> list[SubmittedImage]:
    return [SubmittedImage(f"{number}.jpg", b"image %d" % number) for number in range(count)]


@pytest.fixture
def job(jobs):
    return jobs.submit(SUBMISSION, images(3))[0]


@pytest.fixture
def make(jobs, outbox):
    """Return a function that makes a runner and stops it at the end of the test."""
    made = []

    def make(analyze, *, threads: int = 1, slot=nullcontext) -> JobRunner:
        made.append(
            JobRunner(jobs, analyze, Wakeups(None), threads=threads, postman=Postman(outbox), slot=slot)
        )
        return made[-1]

    yield make
    for each in made:
        each.stop(30)


def analysis_id(claim) -> str:
    return f"{claim.number:032x}"


def test_a_started_runner_processes_waiting_and_new_images(jobs, job, make):
    analysed = threading.Semaphore(0)

    def analyze(claim):
        analysed.release()
        return analysis_id(claim)

    working = make(analyze, threads=2)
    working.start()
    assert all(analysed.acquire(timeout=30) for _ in range(3))

    jobs.submit(SUBMISSION, images(2))
    working.nudge()
    assert all(analysed.acquire(timeout=30) for _ in range(2))


def test_an_image_that_cannot_be_analysed_fails_alone(jobs, job, make):
    damaged = Failure("damaged-image", "It is damaged.")
    working = make(lambda claim: damaged if claim.number == 1 else analysis_id(claim))

    while working.work():
        pass

    ended = jobs.get(job.id, owner="")
    assert (ended.state, ended.done, ended.failed) == (JobState.COMPLETED, 2, 1)
    assert [each.failure for each in jobs.results(job.id, limit=10)] == [None, damaged, None]


@pytest.mark.parametrize("problem", [StoreError("The database is down."), StoppingError("Stopping.")])
def test_a_database_that_is_down_or_a_stop_costs_the_image_no_attempt(jobs, job, make, problem):
    problems = [problem] * (MOST_ATTEMPTS + 2)

    def analyze(claim):
        assert claim.attempt == 1
        if problems:
            raise problems.pop()
        return analysis_id(claim)

    working = make(analyze)
    for _ in range(MOST_ATTEMPTS + 2):
        assert not working.work()
    while working.work():
        pass

    assert jobs.get(job.id, owner="").done == 3


def test_a_lease_is_renewed_while_the_image_is_in_progress(jobs, job, make, monkeypatch):
    monkeypatch.setattr(jobs, "lease", timedelta(seconds=0.03))
    renewed = threading.Event()
    renew = jobs.renew

    def renewing(claim) -> bool:
        held = renew(claim)
        renewed.set()
        return held

    monkeypatch.setattr(jobs, "renew", renewing)

    def analyze(claim):
        assert renewed.wait(30)
        return analysis_id(claim)

    assert make(analyze).work()
    assert jobs.get(job.id, owner="").done == 1


def test_a_worker_that_hangs_loses_its_image(jobs, job, make, monkeypatch, clock):
    monkeypatch.setattr(runner, "LONGEST_ANALYSIS_SECONDS", 0.0)
    monkeypatch.setattr(jobs, "lease", timedelta(seconds=0.03))
    monkeypatch.setattr(jobs, "renew", pytest.fail)

    def hang(claim):
        clock.time += LEASE
        again = jobs.claim()
        assert (again.number, again.attempt) == (claim.number, 2)
        return analysis_id(claim)

    assert make(hang).work()
    assert jobs.get(job.id, owner="").done == 0


def test_it_gives_up_on_images_that_workers_die_with(jobs, job, make, clock, caplog):
    for _ in range(MOST_ATTEMPTS):
        assert jobs.claim().number == 0
        clock.time += LEASE + timedelta(seconds=1)
    working = make(analysis_id)

    working.look_after()
    while working.work():
        pass

    [given_up] = [each.failure for each in jobs.results(job.id, limit=10) if each.failure]
    assert given_up.kind == "worker-died"
    assert jobs.get(job.id, owner="").state is JobState.COMPLETED
    assert "gave up on 1 image" in caplog.text


def test_a_stop_waits_for_the_image_in_progress_and_takes_no_other(jobs, job, make):
    entered, release = threading.Event(), threading.Event()

    def analyze(claim):
        entered.set()
        assert release.wait(30)
        return analysis_id(claim)

    working = make(analyze)
    working.start()
    assert entered.wait(30)
    stopping = threading.Thread(target=working.stop, args=(30,))
    stopping.start()
    release.set()
    stopping.join(30)

    assert (jobs.get(job.id, owner="").done, jobs.claimable()) == (1, 2)


def test_without_threads_the_images_are_left_to_others(jobs, job, make):
    left = make(pytest.fail, threads=0)
    left.start()
    left.stop(30)

    assert jobs.claimable() == 3


def test_it_works_only_while_it_holds_a_slot(jobs, job, make):
    events = []

    class Slot:
        def __enter__(self):
            events.append("taken")

        def __exit__(self, *_):
            events.append("free")

    def analyze(claim):
        assert events[-1] == "taken"
        return analysis_id(claim)

    assert make(analyze, slot=Slot).work()
    assert events == ["taken", "free"]
