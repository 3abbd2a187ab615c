from __future__ import annotations

import pytest

from tamperscope.datasets import read_dataset
from tamperscope.errors import DatasetError

FORGED = "manipulation|x|probe/NC2016_0128.jpg|{mask}||Y|{removal}|{splice}|{copy}|world/NC2016_3272.jpg"
MASK = "reference/manipulation/mask/NC2016_3942.png"


@pytest.fixture
def nist(make_dataset):
    return make_dataset("nist16")


def reference(nist, text):
    path = next(nist.root.rglob("NC2016-manipulation-ref.csv"))
    header = path.read_text().splitlines()[0]
    path.write_text(f"{header}\n{text}\n")
    return path


@pytest.mark.parametrize(
    ("removal", "splice", "copy", "type"),
    [
        ("Y", "N", "N", "inpainting"),
        ("N", "Y", "N", "splicing"),
        ("N", "N", "Y", "copymove"),
        ("Y", "Y", "N", None),
        ("N", "N", "N", None),
    ],
)
def test_the_table_determines_the_type_where_there_is_exactly_one(nist, removal, splice, copy, type):
    reference(nist, FORGED.format(mask=MASK, removal=removal, splice=splice, copy=copy))

    (sample,) = read_dataset(nist.root, "nist16").samples

    assert sample.type == type


def test_a_row_without_a_mask_is_named(nist):
    reference(nist, FORGED.format(mask="", removal="N", splice="Y", copy="N"))

    (problem,) = read_dataset(nist.root, "nist16").problems

    assert problem.path == nist.forged


def test_a_missing_probe_is_named(nist):
    nist.forged.unlink()

    (problem,) = read_dataset(nist.root, "nist16").problems

    assert (problem.path, problem.reason) == (nist.forged, "There is no such file.")


def test_the_error_for_another_table_names_a_missing_column(nist):
    path = reference(nist, "")
    path.write_text("ProbeFileName|IsTarget\n")

    with pytest.raises(DatasetError, match="has no column BaseFileName"):
        read_dataset(nist.root, "nist16")
