"""All layouts by name: `read_dataset(Path("CASIA 1.0"), "casia1")`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tamperscope.datasets import (
    casia,
    columbia,
    comofod,
    coverage,
    defacto,
    dso1,
    folder,
    imd2020,
    nist16,
)
from tamperscope.datasets.check import header_problem, in_threads
from tamperscope.datasets.reading import Problem, Reading
from tamperscope.datasets.sample import Sample
from tamperscope.errors import DatasetError


@dataclass(frozen=True)
class _Layout:
    read: Callable[[Path], Iterator[Sample | Problem]]
    """Find and pair the files below a folder, in a fixed order, without opening an image."""
    expects: str
    """The files of the layout, for an error message."""


_LAYOUTS = {
    "folder": _Layout(folder.read, "images/ with masks/, and authentic/, or folders of these"),
    "defacto": _Layout(defacto.read, "splicing_1_img/img/ with splicing_1_annotations/probe_mask/, ..."),
    "casia1": _Layout(casia.read_casia1, "Au_*.jpg, Sp_*.jpg and Sp_*_gt.png"),
    "casia2": _Layout(casia.read_casia2, "Au_*, Tp_* and Tp_*_gt.png"),
    "columbia": _Layout(columbia.read, "4cam_auth/ and 4cam_splc/ with 4cam_splc/edgemask/"),
    "coverage": _Layout(coverage.read, "image/ and mask/"),
    "nist16": _Layout(nist16.read, "reference/manipulation/NC2016-manipulation-ref.csv and probe/"),
    "imd2020": _Layout(imd2020.read, "folders of *_orig.jpg, *_0.png and *_0_mask.png"),
    "comofod": _Layout(comofod.read, "001_O.png, 001_F.png, 001_B.png, ..."),
    "dso1": _Layout(dso1.read, "DSO-1/ and DSO-1-Fake-Images-Masks/"),
}

LAYOUTS = tuple(_LAYOUTS)
"""The names of the layouts."""


def read_dataset(root: Path, layout: str = "folder") -> Reading:
    """Read a dataset from its file names and image headers.

    A sample is skipped, and named among the problems, when its image or its mask is missing or unreadable,
    and when the two differ in size. `find_problems` decodes the remaining samples and checks their content.

    Args:
        root: The folder of the dataset.
        layout: How its files are arranged: one of `LAYOUTS`.

    Returns:
        The samples that can be used, and the problems.

    Raises:
        DatasetError: The layout is unknown, or the folder holds no files in that layout.

    Example:
        >>> import tempfile
        >>> import PIL.Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name, colour in (("images/1.jpg", "red"), ("masks/1.png", "black")):
        ...         Path(folder, name).parent.mkdir()
        ...         PIL.Image.new("RGB", (64, 48), colour).save(Path(folder, name))
        ...     reading = read_dataset(Path(folder), "folder")
        >>> [(sample.image.name, sample.forged) for sample in reading.samples], reading.problems
        ([('1.jpg', True)], ())
    """
    if layout not in _LAYOUTS:
        close = difflib.get_close_matches(layout, LAYOUTS)
        hint = f"did you mean {' or '.join(close)}?" if close else f"the layouts are {', '.join(LAYOUTS)}."
        raise DatasetError(f"Unknown layout {layout}; {hint}")
    found = list(_LAYOUTS[layout].read(root)) if root.is_dir() else []
    if not found:
        raise DatasetError(
            f"{root} holds no files in the layout {layout}, which is: {_LAYOUTS[layout].expects}."
        )
    samples = [item for item in found if isinstance(item, Sample)]
    problems = [item for item in found if isinstance(item, Problem)]
    usable = []
    for sample, problem in zip(samples, in_threads(header_problem, samples), strict=True):
        if problem:
            problems.append(problem)
        else:
            usable.append(sample)
    return Reading(tuple(usable), tuple(problems))
