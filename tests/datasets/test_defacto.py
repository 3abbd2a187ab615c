from __future__ import annotations

import numpy as np
import pytest

from samples import photo, write
from tamperscope.datasets import read_dataset

MASK = np.eye(48, 64, dtype=np.uint8) * 255


@pytest.mark.parametrize(
    ("part", "type"),
    [
        ("splicing_7", "splicing"),
        ("copymove", "copymove"),
        ("inpainting", "inpainting"),
        ("face", "face"),
        ("morphing_1", "face"),
    ],
)
def test_the_folder_determines_the_type(tmp_path, part, type):
    write(tmp_path / f"{part}_img/img/0_000000000071.tif", photo())
    write(tmp_path / f"{part}_annotations/probe_mask/0_000000000071.tif", MASK)

    (sample,) = read_dataset(tmp_path, "defacto").samples

    assert (sample.type, sample.sources) == (type, ("coco/000000000071",))


def test_parts_may_be_one_folder_further_down(make_dataset):
    dataset = make_dataset("defacto")
    for folder in (dataset.forged.parents[1], dataset.mask.parents[1]):
        target = dataset.root / "Defacto Splicing" / folder.name
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)

    assert len(read_dataset(dataset.root, "defacto").samples) == 1


def test_folders_that_an_archive_doubles_are_read(tmp_path):
    write(tmp_path / "splicing_1_img/splicing_1_img/img/0_000000000071.tif", photo())
    write(tmp_path / "splicing_1_annotations/splicing_1_annotations/probe_mask/0_000000000071.tif", MASK)

    reading = read_dataset(tmp_path, "defacto")

    assert [sample.type for sample in reading.samples] == ["splicing"]
    assert reading.problems == ()


def test_parts_in_folders_of_their_own_keep_their_own_masks(tmp_path):
    for number, folder in enumerate(("one", "two")):
        write(tmp_path / folder / f"copymove_img/img/{number}.tif", photo())
        write(tmp_path / folder / f"copymove_annotations/probe_mask/{number}.tif", MASK)

    reading = read_dataset(tmp_path, "defacto")

    assert [sample.mask.parents[2].name for sample in reading.samples] == ["one", "two"]
