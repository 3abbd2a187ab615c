"""The plain layout: `images/` and `masks/` with matching stems, and `authentic/`; or a folder of such sets.

    images/0001.jpg
    masks/0001.png        white where manipulated; 0001_mask.png and 0001_gt.png are read too
    authentic/0002.jpg
    forgeries.jsonl       optional: one JSON object per image, with its type and sources

The case of the folders' names does not matter.

A line of `forgeries.jsonl`, as `tamperscope synthesize` writes it, has at least these keys:

    {"file": "images/0001.jpg", "type": "splicing", "sources": ["beach.jpg", "dog.jpg"]}

`type` is null for an authentic image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tamperscope.datasets.reading import Problem, child, images_in, masks_in
from tamperscope.datasets.sample import Sample
from tamperscope.report import ManipulationType

RECORDS = "forgeries.jsonl"


def read(root: Path) -> Iterator[Sample | Problem]:
    """Yield the samples of each set, sets and images sorted by name."""
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        yield from _read_set(folder)


def _read_set(folder: Path) -> Iterator[Sample | Problem]:
    records: dict[tuple[str, str], _Record] = {}
    for item in _read_records(folder):
        if isinstance(item, Problem):
            yield item
        else:
            records[_place(item.file)] = item
    images = images_in(child(folder, "images"))
    masks = masks_in(child(folder, "masks"), images)
    for image in images:
        record = records.pop(_place(image), _Record(image))
        if mask := masks.pop(image.stem, None):
            yield Sample(folder.name, image, mask, record.type, record.sources)
        else:
            yield Problem(image, f"There is no {image.stem}.png in masks.")
    for image in images_in(child(folder, "authentic")):
        record = records.pop(_place(image), _Record(image))
        yield Sample(folder.name, image, None, sources=record.sources)
    for mask in masks.values():
        yield Problem(mask, "This mask has no image in images.")
    for record in records.values():
        yield Problem(record.file, f"This image is named in {RECORDS}, but it does not exist.")


def _place(image: Path) -> tuple[str, str]:
    """Return the folder of an image, whatever its case, and its name."""
    return image.parent.name.lower(), image.name


@dataclass(frozen=True)
class _Record:
    """What a line of `forgeries.jsonl` states about an image."""

    file: Path
    type: ManipulationType | None = None
    sources: tuple[str, ...] = ()


def _read_records(folder: Path) -> Iterator[_Record | Problem]:
    path = folder / RECORDS
    if not path.is_file():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                kind = record["type"] and ManipulationType(record["type"])
                yield _Record(folder / record["file"], kind, _names(record["sources"]))
            except (ValueError, KeyError, TypeError):
                yield Problem(path, f"Line {number} is not a JSON object with file, type and sources.")


def _names(sources: object) -> tuple[str, ...]:
    """Return a list of names; raises `TypeError` for anything else, such as one name without a list."""
    if not isinstance(sources, list) or not all(isinstance(name, str) for name in sources):
        raise TypeError("not a list of names")
    return tuple(sources)
