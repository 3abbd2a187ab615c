"""Tests that every layout must pass."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tamperscope.datasets import LAYOUTS, find_problems, read_dataset
from tamperscope.errors import DatasetError
from tamperscope.report import ManipulationType

SPLICING, COPYMOVE = ManipulationType.SPLICING, ManipulationType.COPYMOVE

TYPES_AND_SOURCES = {
    "folder": (None, ()),
    "defacto": (SPLICING, ("coco/000000000042", "coco/000000000123")),
    "casia1": (SPLICING, ("casia1/pla0005", "casia1/pla0023")),
    "casia2": (SPLICING, ("casia2/cha10130", "casia2/art00092")),
    "columbia": (SPLICING, ()),
    "coverage": (COPYMOVE, ("coverage/12",)),
    "nist16": (SPLICING, ("nist16/world/NC2016_3272.jpg",)),
    "imd2020": (None, ("imd2020/1b8r7b",)),
    "comofod": (COPYMOVE, ("comofod/012",)),
    "dso1": (SPLICING, ()),
}


@pytest.fixture(params=LAYOUTS)
def dataset(request, make_dataset):
    return make_dataset(request.param)


def read(dataset):
    return read_dataset(dataset.root, dataset.layout)


def test_forged_and_authentic_images_are_found_and_nothing_else(dataset):
    reading = read(dataset)

    assert reading.problems == ()
    assert {sample.image for sample in reading.samples if sample.forged} == {dataset.forged}
    assert [sample.image for sample in reading.samples if not sample.forged] == (
        [dataset.authentic] if dataset.authentic else []
    )


def test_type_and_sources_are_read_where_the_set_names_them(dataset):
    (forged,) = (sample for sample in read(dataset).samples if sample.forged)

    assert (forged.type, forged.sources) == TYPES_AND_SOURCES[dataset.layout]


def test_the_ground_truth_is_what_was_drawn(dataset):
    for sample in read(dataset).samples:
        assert np.array_equal(sample.ground_truth(48, 64), dataset.truth & sample.forged)


def test_an_intact_dataset_has_no_problems(dataset):
    samples = read(dataset).samples

    assert list(find_problems(samples)) == [None] * len(samples)


def test_a_missing_mask_is_named_and_the_rest_is_read(dataset):
    dataset.mask.unlink()

    reading = read(dataset)

    assert [problem.path.stem for problem in reading.problems] in ([dataset.forged.stem], [dataset.mask.stem])
    assert [sample.image for sample in reading.samples] == ([dataset.authentic] if dataset.authentic else [])


def test_a_mask_of_another_size_is_named_with_both_sizes(dataset):
    dataset.draw(np.ones((64, 48), bool))

    reading = read(dataset)

    (problem,) = reading.problems
    assert (problem.path, problem.reason) == (
        dataset.mask,
        "This mask is 48x64, but its image is 64x48.",
    )
    assert not any(sample.forged for sample in reading.samples)


def test_a_file_that_is_not_an_image_is_named(dataset):
    dataset.forged.write_text("not an image")

    (problem,) = read(dataset).problems

    assert problem.path == dataset.forged
    assert "damaged" in problem.reason


@pytest.mark.parametrize(("share", "reason"), [(0, "marks nothing"), (0.75, "marks 75% .* inverted")])
def test_a_mask_that_marks_nothing_or_too_much_is_named(dataset, share, reason):
    mask = np.zeros((48, 64), bool)
    mask[:, : round(64 * share)] = True
    dataset.draw(mask)

    (problem,) = filter(None, find_problems(read(dataset).samples))

    assert problem.path == dataset.mask
    assert re.search(reason, problem.reason)


def test_an_empty_folder_holds_no_files_in_any_layout(tmp_path):
    for layout in LAYOUTS:
        with pytest.raises(DatasetError, match=f"no files in the layout {layout}, which is: "):
            read_dataset(tmp_path, layout)


def test_the_error_for_an_unknown_layout_names_similar_ones(tmp_path):
    with pytest.raises(DatasetError, match=r"Unknown layout casia; did you mean casia2 or casia1\?"):
        read_dataset(tmp_path, "casia")
    with pytest.raises(DatasetError, match="the layouts are folder, defacto"):
        read_dataset(tmp_path, "xyz")


def test_the_folders_of_coverage_may_be_capitalised(make_dataset):
    dataset = make_dataset("coverage")
    for name in ("image", "mask"):
        (dataset.root / name).rename(dataset.root / name.capitalize())

    reading = read(dataset)

    assert reading.problems == ()
    assert sorted(sample.forged for sample in reading.samples) == [False, True]
