from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import encode, exif_orientation, photo, write
from tamperscope.datasets import Sample, find_problems, read_dataset
from tamperscope.errors import DatasetError


def test_an_authentic_image_has_an_empty_ground_truth():
    assert not Sample("set", Path("photo.jpg"), None).ground_truth(8, 12).any()


def test_a_mask_of_another_size_is_an_error(tmp_path):
    mask = write(tmp_path / "mask.png", np.zeros((48, 64), np.uint8))

    with pytest.raises(DatasetError, match=r"mask\.png is 64x48, but its image is 48x64"):
        Sample("set", tmp_path / "photo.jpg", mask).ground_truth(64, 48)


def test_an_unreadable_mask_is_an_error(tmp_path):
    mask = tmp_path / "mask.png"
    mask.write_text("not an image")

    with pytest.raises(DatasetError, match=r"mask\.png cannot be read"):
        Sample("set", tmp_path / "photo.jpg", mask).ground_truth(64, 48)


def test_a_photo_rotated_by_its_exif_needs_a_rotated_mask(tmp_path):
    for name in ("upright", "stored"):
        file = tmp_path / f"images/{name}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(encode(photo(64, 48), exif=exif_orientation(6)))
    write(tmp_path / "masks/upright.png", np.eye(64, 48, dtype=np.uint8) * 255)
    stored = write(tmp_path / "masks/stored.png", np.eye(48, 64, dtype=np.uint8) * 255)

    reading = read_dataset(tmp_path)

    assert [sample.image.stem for sample in reading.samples] == ["upright"]
    assert list(find_problems(reading.samples)) == [None]
    assert [problem.path for problem in reading.problems] == [stored]


def test_truncated_files_are_found_by_decoding(tmp_path):
    files = {
        "images/a.png": encode(photo(), "PNG"),
        "masks/a.png": encode(np.eye(48, 64, dtype=np.uint8) * 255, "PNG")[:-30],
        "images/b.png": encode(photo(), "PNG")[:-3000],
        "masks/b.png": encode(np.eye(48, 64, dtype=np.uint8) * 255, "PNG"),
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)

    reading = read_dataset(tmp_path)
    problems = list(find_problems(reading.samples))

    assert reading.problems == ()
    assert [problem and problem.path for problem in problems] == [
        tmp_path / "masks/a.png",
        tmp_path / "images/b.png",
    ]
