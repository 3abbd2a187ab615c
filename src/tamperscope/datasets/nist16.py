"""NIST16: the Nimble Challenge 2016 evaluation set, with splicing, copy-move and removal.

H. Guan et al., "MFC Datasets: Large-Scale Benchmark Datasets for Media Forensic Challenge Evaluation",
WACV Workshops 2019.

    reference/manipulation/NC2016-manipulation-ref.csv
    reference/manipulation/mask/NC2016_3942.png
    probe/NC2016_0128.jpg
    world/NC2016_3272.jpg

The reference is a table with columns separated by `|`. Its paths are relative to the folder that holds
`reference/`.

Quirks:
- Masks are black where manipulated.
- Removal counts as inpainting. A probe that was manipulated in more than one way has no type.
- Probes that are not targets (`IsTarget` is N) are authentic.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from tamperscope.datasets.reading import Problem
from tamperscope.datasets.sample import MaskEncoding, Sample
from tamperscope.errors import DatasetError
from tamperscope.report import ManipulationType

_TYPES = {
    "IsManipulationTypeSplice": ManipulationType.SPLICING,
    "IsManipulationTypeCopyClone": ManipulationType.COPYMOVE,
    "IsManipulationTypeRemoval": ManipulationType.INPAINTING,
}
_SOURCES = ("BaseFileName", "DonorFileName")
_COLUMNS = ("ProbeFileName", "ProbeMaskFileName", "IsTarget", *_TYPES, *_SOURCES)


def read(root: Path) -> Iterator[Sample | Problem]:
    """Yield the samples in the order of the reference table.

    Raises DatasetError when a column is missing.
    """
    for reference in sorted(root.rglob("NC2016-manipulation-ref.csv")):
        base = reference.parents[2]
        with reference.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="|")
            if missing := set(_COLUMNS).difference(rows.fieldnames or ()):
                raise DatasetError(f"{reference} has no column {min(missing)}.")
            for row in rows:
                yield _sample(row, base)


def _sample(row: dict[str, str], base: Path) -> Sample | Problem:
    image = base / row["ProbeFileName"]
    sources = tuple(f"nist16/{row[column]}" for column in _SOURCES if row[column])
    if row["IsTarget"] != "Y":
        return Sample("nist16", image, None, sources=sources)
    if not row["ProbeMaskFileName"]:
        return Problem(image, "The reference table names no mask for this image.")
    types = [kind for column, kind in _TYPES.items() if row[column] == "Y"]
    return Sample(
        "nist16",
        image,
        base / row["ProbeMaskFileName"],
        types[0] if len(types) == 1 else None,
        sources,
        MaskEncoding.BLACK,
    )
