from __future__ import annotations

from samples import photo, write
from tamperscope.datasets import read_dataset


def test_each_kind_of_postprocessing_is_a_set_with_the_same_mask_and_source(make_dataset):
    dataset = make_dataset("comofod")
    for name in ("012_F_JC1.jpg", "012_O_JC1.jpg", "012_F_BC3.png"):
        write(dataset.root / name, photo())

    samples = {sample.image.name: sample for sample in read_dataset(dataset.root, "comofod").samples}

    assert {name: sample.set for name, sample in samples.items()} == {
        "012_F.png": "comofod",
        "012_O.png": "comofod",
        "012_F_JC1.jpg": "comofod JC1",
        "012_O_JC1.jpg": "comofod JC1",
        "012_F_BC3.png": "comofod BC3",
    }
    assert samples["012_F_JC1.jpg"].mask == samples["012_F_BC3.png"].mask == dataset.mask
    assert not samples["012_O_JC1.jpg"].forged
    assert {sample.sources for sample in samples.values()} == {("comofod/012",)}
