"""Calls in background threads."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref

import numpy as np
import pytest

from tamperscope import background


def test_calls_one_after_the_other_share_a_thread() -> None:
    threads = {background.begin(threading.get_ident, "test").result(30) for _ in range(20)}

    assert len(threads) == 1


def test_a_call_waits_for_no_other() -> None:
    together = threading.Barrier(30)

    outcomes = [background.begin(lambda: together.wait(30), "test") for _ in range(30)]

    assert sorted(outcome.result(30) for outcome in outcomes) == list(range(30))


def test_an_exception_reaches_the_caller_and_the_thread_goes_on() -> None:
    before = background.begin(threading.get_ident, "test").result(30)

    with pytest.raises(ZeroDivisionError):
        background.begin(lambda: 1 / 0, "test").result(30)

    assert background.begin(threading.get_ident, "test").result(30) == before


def test_a_call_whose_caller_was_cancelled_leaves_its_thread_usable() -> None:
    go_on = threading.Event()
    before = background.begin(threading.get_ident, "test").result(30)

    async def waiting() -> None:
        task = asyncio.ensure_future(asyncio.wrap_future(outcome))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    outcome = background.begin(lambda: go_on.wait(30), "test")
    asyncio.run(waiting())
    go_on.set()

    assert outcome.result(30)
    assert background.begin(threading.get_ident, "test").result(30) == before


def test_an_idle_thread_holds_nothing_of_its_last_call() -> None:
    image = np.zeros(10)
    gone = threading.Event()
    weakref.finalize(image, gone.set)
    outcome = background.begin(lambda image=image: image, "test")
    outcome.result(30)

    del image, outcome

    assert gone.wait(30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_it_works_in_a_forked_process() -> None:
    background.begin(int, "test").result(30)

    child = os.fork()
    if not child:
        os._exit(background.begin(lambda: 7, "test").result(30))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
