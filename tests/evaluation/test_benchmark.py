from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fakes import FakeDetector
from samples import encode, photo, write_dataset
from tamperscope import images
from tamperscope.datasets import Problem, Sample, read_dataset
from tamperscope.evaluation.benchmark import Journal, Task, evenly, run, sweep
from tamperscope.evaluation.measurement import Measurement


class CountingDetector(FakeDetector):
    """Counts the images it analysed, and raises KeyboardInterrupt at image `give_up_at`."""

    def __init__(self, give_up_at: int | None = None) -> None:
        super().__init__()
        self.analysed = 0
        self._give_up_at = give_up_at

    def analyze(self, source: object):
        if self.analysed == self._give_up_at:
            raise KeyboardInterrupt
        self.analysed += 1
        return super().analyze(source)


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    return [
        Task(sample)
        for sample in read_dataset(write_dataset(tmp_path / "set", forged=3, authentic=2)).samples
    ]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "measurements.jsonl"


def measured(detector: FakeDetector, tasks: list[Task], journal: Path, workers: int = 2) -> list[Measurement]:
    return list(run(detector, tasks, Journal(journal), workers))


def test_measurements_are_in_the_order_of_the_tasks(tasks: list[Task], journal: Path) -> None:
    found = measured(CountingDetector(), tasks, journal, workers=4)
    assert [each.forged for each in found] == [True, True, True, False, False]
    # The fake marks 24 x 24 pixels, of which 24 x 12 are manipulated.
    assert [each.f1 for each in found] == [pytest.approx(2 / 3)] * 3 + [None] * 2
    assert [each.iou for each in found] == [0.5] * 3 + [None] * 2


def test_a_stopped_run_resumes_where_it_stopped(tasks: list[Task], journal: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        measured(CountingDetector(give_up_at=2), tasks, journal, workers=1)
    with journal.open("ab") as file:
        file.write(b'{"key": "cut off in the mid')
    second = CountingDetector()
    resumed = measured(second, tasks, journal)
    assert second.analysed == 3
    assert resumed == measured(CountingDetector(), tasks, journal.with_name("fresh.jsonl"))
    third = CountingDetector()
    assert measured(third, tasks, journal) == resumed
    assert third.analysed == 0


def test_what_changed_is_measured_again(tasks: list[Task], journal: Path) -> None:
    measured(CountingDetector(), tasks, journal)
    tasks[0].sample.image.write_bytes(encode(photo(64, 64, seed=50), "PNG"))
    tasks[1].sample.mask.write_bytes(tasks[1].sample.mask.read_bytes() + b"\0")
    detector = CountingDetector()
    measured(detector, tasks, journal)
    assert detector.analysed == 2


def test_another_kind_in_the_file_name_is_measured_again(tasks: list[Task], journal: Path) -> None:
    measured(CountingDetector(), tasks[3:], journal)
    sample = tasks[3].sample
    receipt = sample.image.rename(sample.image.with_name("receipt__1.png"))
    renamed = dataclasses.replace(sample, image=receipt)
    assert [each.kind for each in measured(CountingDetector(), [Task(renamed)], journal)] == ["receipt"]


def test_another_bundle_starts_over(tasks: list[Task], journal: Path) -> None:
    measured(CountingDetector(), tasks, journal)
    detector = CountingDetector()
    detector.bundle.identity = detector.bundle.identity.__class__("fake", "2", "1" * 64)
    measured(detector, tasks, journal)
    assert detector.analysed == len(tasks)


def test_unusable_images_and_masks_are_named_and_the_others_measured(
    tasks: list[Task], journal: Path
) -> None:
    tasks[0].sample.image.write_text("This is no picture.")
    tasks[1].sample.mask.write_bytes(encode(photo(32, 32), "PNG"))
    tasks[2].sample.mask.write_bytes(encode(photo(64, 64) * 0, "PNG"))
    tasks[3].sample.image.unlink()
    found = measured(CountingDetector(), tasks, journal)
    problems = [each for each in found if isinstance(each, Problem)]
    assert [problem.path for problem in problems] == [task.sample.image for task in tasks[:4]]
    assert "32x32" in problems[1].reason
    assert "marks nothing" in problems[2].reason
    assert isinstance(found[4], Measurement)


def test_a_mask_too_fine_for_the_heatmap_of_a_large_image_is_named(
    tasks: list[Task], journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_MAP_PIXELS", 16 * 16)
    fine = np.zeros((64, 64), np.uint8)
    fine[::8, ::8] = 255
    tasks[0].sample.mask.write_bytes(encode(fine, "PNG"))
    (found,) = measured(CountingDetector(), tasks[:1], journal)
    assert isinstance(found, Problem)
    assert "marks nothing" in found.reason


def test_a_sweep_takes_as_many_forged_as_authentic_images() -> None:
    samples = [Sample("set", Path(f"{n}.png"), Path("mask.png") if n < 60 else None) for n in range(100)]
    chosen = list(dict.fromkeys(task.sample for task in sweep(samples, 10)))
    assert [int(sample.image.stem) for sample in chosen] == [0, 12, 24, 36, 48, 60, 68, 76, 84, 92]


def test_corrupted_images_are_compared_with_a_ground_truth_of_their_size(
    tasks: list[Task], journal: Path
) -> None:
    swept = sweep([task.sample for task in tasks], 2)
    found = {each.corruption: each for each in measured(CountingDetector(), swept, journal) if each.forged}
    assert found["resize 0.5"].pixels == 32 * 32
    assert found["resize 0.5"].f1 == pytest.approx(2 / 3)


def test_evenly_returns_all_items_if_there_are_fewer() -> None:
    assert evenly("abc", 5) == ["a", "b", "c"]
    assert evenly("abcdef", 3) == ["a", "c", "e"]
