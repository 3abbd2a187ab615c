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
