from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tamperscope.datasets.sample import Sample
from tamperscope.datasets.split import split
from tamperscope.errors import SettingsError
from tamperscope.report import ManipulationType

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def forged(name: str, *sources: str, type: ManipulationType | None = None, root: str = "/data") -> Sample:
    return Sample("set", Path(root, name), Path(root, "mask", name), type, sources)


def authentic(name: str, *sources: str) -> Sample:
    return Sample("set", Path("/data", name), None, sources=sources)


def sizes(parts: dict[str, tuple[Sample, ...]]) -> dict[str, int]:
    return {part: len(samples) for part, samples in parts.items()}


def test_every_sample_is_in_one_part_and_parts_have_the_requested_size():
    samples = [forged(f"{n}.jpg") for n in range(100)]

    parts = split(samples, SHARES, seed=1)

    assert sizes(parts) == {"train": 80, "validation": 10, "test": 10}
    assert {sample for part in parts.values() for sample in part} == set(samples)


def test_samples_that_share_a_source_through_others_stay_together():
    chain = [forged(f"chain{n}.jpg", f"photo{n}", f"photo{n + 1}") for n in range(5)]
    samples = [*chain, authentic("original.jpg", "photo3"), *(forged(f"{n}.jpg") for n in range(54))]

    for seed in range(10):
        parts = split(samples, {"a": 0.5, "b": 0.5}, seed)
        homes = [part for part, members in parts.items() if {*chain, samples[5]} & set(members)]

        assert len(homes) == 1
        assert max(sizes(parts).values()) <= 31


def test_each_part_gets_its_share_of_every_type():
    samples = [
        *(forged(f"s{n}", f"p{n // 2}", type=ManipulationType.SPLICING) for n in range(100)),
        *(forged(f"c{n}", type=ManipulationType.COPYMOVE) for n in range(20)),
        *(authentic(f"a{n}") for n in range(40)),
    ]

    parts = split(samples, {"train": 0.75, "test": 0.25}, seed=3)

    test = Counter(sample.type if sample.forged else "authentic" for sample in parts["test"])
    assert test["authentic"] == 10
    assert test[ManipulationType.COPYMOVE] == 5
    assert 24 <= test[ManipulationType.SPLICING] <= 26


def test_forgeries_are_spread_although_each_is_tied_to_its_original():
    pairs = [(forged(f"f{n}", f"photo{n}"), authentic(f"o{n}", f"photo{n}")) for n in range(20)]
    samples = [*(sample for pair in pairs for sample in pair), *(authentic(f"a{n}") for n in range(200))]

    parts = split(samples, {"train": 0.8, "test": 0.2}, seed=0)

    assert [sum(sample.forged for sample in part) for part in parts.values()] == [16, 4]
    assert sizes(parts) == {"train": 192, "test": 48}


def test_photos_that_are_all_tied_together_are_divided_without_a_leak():
    rng = random.Random(0)
    photos = [f"photo{n}" for n in range(40)]
    samples = [
        *(forged(f"s{n}", *rng.sample(photos, 2), type=ManipulationType.SPLICING) for n in range(300)),
        *(authentic(f"a{n}", photos[n % 40]) for n in range(200)),
    ]

    parts = split(samples, SHARES, seed=4)

    seen = [{source for sample in part for source in sample.sources} for part in parts.values()]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert sizes(parts)["train"] > 300
    assert all(any(sample.forged for sample in part) for part in parts.values())


def test_many_forgeries_of_one_photo_go_to_the_largest_part():
    samples = [*(forged(f"{n}.jpg", "photo") for n in range(90)), *(forged(f"x{n}.jpg") for n in range(10))]

    parts = split(samples, {"test": 0.3, "train": 0.7}, seed=0)

    assert set(samples[:90]) <= set(parts["train"])
    assert len(parts["test"]) == 10


def test_neither_the_order_nor_the_location_of_the_files_matters():
    here = [forged(f"{n}.jpg", f"photo{n // 3}") for n in range(60)]
    there = [forged(f"{n}.jpg", f"photo{n // 3}", root="/elsewhere/data") for n in range(60)]
    random.Random(0).shuffle(there)

    names = [
        {
            part: [sample.image.name for sample in members]
            for part, members in split(samples, SHARES, 5).items()
        }
        for samples in (here, there)
    ]

    assert names[0] == names[1]


def test_another_seed_gives_another_split():
    samples = [forged(f"{n}.jpg") for n in range(100)]

    assert split(samples, SHARES, 1) != split(samples, SHARES, 2)


@pytest.mark.parametrize(
    "shares", [{}, {"train": 0.8}, {"train": 1.2, "test": -0.2}, {"train": 1, "test": 0}]
)
def test_invalid_shares_are_an_error(shares):
    with pytest.raises(SettingsError, match="add up to 1"):
        split([forged("a.jpg")], shares, 0)
