"""What the readers of datasets return, and what they share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tamperscope.datasets.sample import Sample
from tamperscope.images import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Problem:
    """A problem with a file of a dataset."""

    path: Path
    reason: str
    """One sentence for the person who can fix it."""


@dataclass(frozen=True)
class Reading:
    """What was found in a dataset's folder: the usable samples, and the problems with other files."""

    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...] = ()


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted; an empty list when there is no such folder."""
    return _images(folder.iterdir()) if folder.is_dir() else []


def images_below(folder: Path) -> list[Path]:
    """Return the image files of a folder and of all folders below it, sorted."""
    return _images(folder.rglob("*"))


def child(folder: Path, name: str) -> Path:
    """Return the folder of this name in `folder`, whatever its case there, as `Mask` for `mask`."""
    exact = folder / name
    if exact.is_dir() or not folder.is_dir():
        return exact
    same = (path for path in folder.iterdir() if path.name.lower() == name.lower() and path.is_dir())
    return min(same, default=exact)


def masks_in(folder: Path, images: Iterable[Path]) -> dict[str, Path]:
    """Return the masks of a folder by the stem of their image: `a.png` or else `a_mask.png` for `a.jpg`.

    A mask without an image is there by its own stem.
    """
    stems = {image.stem for image in images}
    masks = {path.stem: path for path in images_in(folder)}
    for stem in sorted(masks.keys() - stems):
        if (plain := _MASK_ENDING.sub("", stem)) in stems and plain not in masks:
            masks[plain] = masks.pop(stem)
    return masks


_MASK_ENDING = re.compile(r"[ _-](?:mask|gt|groundtruth)$", re.IGNORECASE)


def _images(paths: Iterable[Path]) -> list[Path]:
    # Archives made on a Mac hold a ._name.png next to each name.png, which is not an image.
    return sorted(p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
