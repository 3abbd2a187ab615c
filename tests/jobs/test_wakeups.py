"""Wake-ups of workers for each image, within a process and through Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tamperscope.errors import SettingsError
from tamperscope.jobs.wakeups import Wakeups


class Work:
    """A function that counts its calls."""

    def __init__(self) -> None:
        self.calls = threading.Semaphore(0)

    def __call__(self) -> None:
        self.calls.release()

    def was_called(self, times: int) -> bool:
        return all(self.calls.acquire(timeout=30) for _ in range(times))


@pytest.fixture(params=["within the process", "redis"])
def address(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("redis") if request.param == "redis" else None


@pytest.fixture
def make() -> Iterator[Callable[[str | None], Wakeups]]:
    """Return a function that makes wake-ups and stops them at the end of the test."""
    made: list[Wakeups] = []

    def make(address: str | None) -> Wakeups:
        made.append(Wakeups(address))
        return made[-1]

    yield make
    for each in made:
        each.stop(30)


@pytest.fixture
def wakeups(make: Callable[[str | None], Wakeups], address: str | None) -> Wakeups:
    return make(address)


def test_one_call_for_each_image(wakeups):
    work = Work()
    wakeups.start(work, threads=2)

    wakeups.top_up(3)

    assert work.was_called(3)


def test_pending_messages_are_not_sent_again(wakeups):
    wakeups.top_up(3)
    wakeups.top_up(3)
    wakeups.top_up(2)

    assert wakeups._huey.pending_count() == 3


def test_work_that_fails_does_not_end_the_worker(wakeups, caplog):
    work = Work()

    def fail_first() -> None:
        work()
        raise ValueError("once")

    wakeups.start(fail_first, threads=1)
    wakeups.top_up(2)

    assert work.was_called(2)


def test_several_processes_share_the_work(make, redis):
    sender, first, second = make(redis), make(redis), make(redis)
    work = Work()
    barrier = threading.Barrier(2)

    def together() -> None:
        barrier.wait(30)
        work()

    first.start(together, threads=1)
    second.start(together, threads=1)
    sender.top_up(2)

    assert work.was_called(2), "one process alone would wait at the barrier"


def test_messages_in_redis_contain_no_code(make, redis):
    wakeups = make(redis)
    wakeups.top_up(1)

    [message] = wakeups._huey.storage.enqueued_items()
    assert message.startswith(b"[")
    assert b"take_image" in message


def test_an_unavailable_redis_is_a_warning(make, tmp_path, caplog):
    wakeups = make(f"unix://{tmp_path / 'missing'}")

    wakeups.top_up(3)

    assert "workers cannot be woken" in caplog.text


@pytest.mark.parametrize("url", ["redis.example:6379", "http://:hunter2@redis.example", ":hunter2@"])
def test_an_invalid_address_is_reported_without_its_password(url):
    with pytest.raises(SettingsError, match="redis://host:6379/0") as refusal:
        Wakeups(url)

    assert "hunter2" not in str(refusal.value)
