from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from samples import photo, write
from tamperscope.datasets import read_dataset
from tamperscope.report import ManipulationType

WHITE = np.full((48, 64), 255, np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "one/images/a.jpg", photo())
    write(tmp_path / "one/masks/a.png", WHITE)
    write(tmp_path / "two/authentic/b.jpg", photo())
    return tmp_path


def record(root: Path, *lines: str) -> None:
    (root / "one/forgeries.jsonl").write_text("\n".join(lines) + "\n")


def test_each_folder_is_a_separate_set(root):
    forged, authentic = read_dataset(root).samples

    assert (forged.set, forged.forged) == ("one", True)
    assert (authentic.set, authentic.forged) == ("two", False)


def test_a_mask_without_an_image_is_named(root):
    lonely = write(root / "one/masks/lonely.png", WHITE)

    (problem,) = read_dataset(root).problems

    assert problem.path == lonely


def test_records_hold_types_and_sources(root):
    write(root / "one/authentic/c.jpg", photo())
    record(
        root,
        json.dumps({"file": "images/a.jpg", "type": "face", "sources": ["x.jpg", "y.jpg"], "recipe": {}}),
        json.dumps({"file": "authentic/c.jpg", "type": None, "sources": ["x.jpg"]}),
    )

    forged, authentic, _ = read_dataset(root).samples

    assert (forged.type, forged.sources) == (ManipulationType.FACE, ("x.jpg", "y.jpg"))
    assert (authentic.type, authentic.sources) == (None, ("x.jpg",))


def test_bad_records_are_named_and_the_images_are_read(root):
    record(
        root,
        "{",
        '{"file": "images/a.jpg"}',
        '{"file": "images/a.jpg", "type": "magic", "sources": []}',
        '{"file": "images/gone.jpg", "type": "face", "sources": []}',
    )

    reading = read_dataset(root)

    assert len(reading.samples) == 2
    assert [problem.path.name for problem in reading.problems] == ["forgeries.jsonl"] * 3 + ["gone.jpg"]
    assert [problem.reason[:6] for problem in reading.problems[:3]] == ["Line 1", "Line 2", "Line 3"]


def test_one_source_without_a_list_is_not_taken_for_many(root):
    record(root, '{"file": "images/a.jpg", "type": "face", "sources": "beach.jpg"}')

    reading = read_dataset(root)

    assert reading.samples[0].sources == ()
    assert [problem.reason[:6] for problem in reading.problems] == ["Line 1"]


def test_a_record_in_another_encoding_is_named(root):
    line = '{"file": "images/a.jpg", "type": "face", "sources": ["fjäll.jpg"]}\n'
    (root / "one/forgeries.jsonl").write_bytes(line.encode("latin-1") + line.encode())

    reading = read_dataset(root)

    assert reading.samples[0].sources == ("fjäll.jpg",)
    assert [problem.reason[:6] for problem in reading.problems] == ["Line 1"]


def test_the_case_of_the_folders_does_not_matter_to_records(tmp_path):
    for folder in ("Images", "Authentic"):
        write(tmp_path / "one" / folder / "a.jpg", photo())
    write(tmp_path / "one/Masks/a.png", WHITE)
    record(
        tmp_path,
        '{"file": "images/a.jpg", "type": "face", "sources": ["x.jpg"]}',
        '{"file": "Authentic/a.jpg", "type": null, "sources": ["y.jpg"]}',
    )

    reading = read_dataset(tmp_path)

    assert [sample.sources for sample in reading.samples] == [("x.jpg",), ("y.jpg",)]
    assert reading.problems == ()


@pytest.mark.parametrize("name", ["a_mask.png", "a_gt.png", "a-mask.PNG"])
def test_a_mask_may_say_that_it_is_one(tmp_path, name):
    write(tmp_path / "Images/a.jpg", photo())
    mask = write(tmp_path / "Masks" / name, WHITE)

    reading = read_dataset(tmp_path)

    assert [sample.mask for sample in reading.samples] == [mask]
    assert reading.problems == ()


def test_the_plain_name_wins_and_an_image_may_end_in_mask(tmp_path):
    for name in ("a.jpg", "b_mask.jpg"):
        write(tmp_path / "images" / name, photo())
    plain = write(tmp_path / "masks/a.png", WHITE)
    write(tmp_path / "masks/a_mask.png", WHITE)
    same = write(tmp_path / "masks/b_mask.png", WHITE)

    masks = {sample.image.stem: sample.mask for sample in read_dataset(tmp_path).samples}

    assert masks == {"a": plain, "b_mask": same}
