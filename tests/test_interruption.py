"""Long computations end between their steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import samples
from tamperscope import background
from tamperscope.evidence import double_jpeg, error_level, jpeg_ghosts, jpeg_grid, noise, resampling
from tamperscope.images import Image, read_image
from tamperscope.interruption import checked_by, checkpoint
from tamperscope.report import Evidence


class StoppedError(Exception):
    pass


def stop_at(step: int) -> Callable[[], None]:
    """Return a check that raises when it is called for that time, from 1."""
    left = iter(range(step - 1, 0, -1))

    def check() -> None:
        if next(left, None) is None:
            raise StoppedError

    return check


@pytest.fixture(scope="module")
def image() -> Image:
    """Return a JPEG of two strips of every measurement."""
    return read_image(samples.encode(samples.scene(256, 1200), quality=95))


# The search for copies and the readers of the file work on a bounded amount.
@pytest.mark.parametrize(
    "measure",
    [each.measure for each in (double_jpeg, error_level, jpeg_ghosts, jpeg_grid, noise, resampling)],
    ids=lambda measure: measure.__module__.rpartition(".")[2],
)
def test_a_measurement_ends_between_its_strips(measure: Callable[[Image], Evidence], image: Image) -> None:
    for step in (1, 2):
        with checked_by(stop_at(step)), pytest.raises(StoppedError):
            measure(image)


def test_without_a_check_nothing_ends_it() -> None:
    checkpoint()
    with checked_by(None):
        checkpoint()


def test_the_check_follows_into_threads_of_the_background_and_ends_with_its_block() -> None:
    with checked_by(stop_at(1)):
        outcome = background.begin(checkpoint, "test")
        with pytest.raises(StoppedError):
            outcome.result(30)
    checkpoint()
