"""CASIA v1.0 and v2.0: splicing and copy-move.

J. Dong, W. Wang, T. Tan, "CASIA Image Tampering Detection Evaluation Database", ChinaSIP 2013; the masks are
those of N. T. Pham et al., "Hybrid Image-Retrieval Method for Image-Splicing Validation", Symmetry 2019.

Only file names count: they hold all the information, and each copy of the sets has other folders.

    Au_ani_0001.jpg                             authentic, photo ani0001
    Sp_D_NRN_A_ani0005_pla0011_0532.jpg         v1: a part of ani0005, spliced into pla0011
    Sp_S_NRN_A_art0022_art0022_0244.jpg         v1: copy-move within art0022
    Tp_D_CRN_S_N_cha10130_art00092_12188.tif    v2: a part of cha10130, spliced into art00092
    Sp_D_NRN_A_ani0005_pla0011_0532_gt.png      the mask

Quirks:
- The original release misnames dozens of forgeries: D and S confused, source and target swapped, or another
  photo. The masks have the corrected names. An image without a mask of its own name gets the mask with the
  same last number, if exactly one such mask has no image of its own name. The mask's name then determines the
  type and the sources.
- In v1, the forgery `Sp_D_NRN_A_cha0011_sec0011_0542` has no mask and is an authentic image. The mask of
  `Sp_D_CNN_A_sec0012_ani0007_0275` is transposed. Three masks rightly mark more than half of their image.
- In v2, 17 masks differ in size from their image; five of them are transposed. They are skipped, because
  nothing states how to rotate or scale them. Corrected masks exist, and are read like the others.
- An image that is in two folders, such as `Tp` and `Modified Tp`, is read once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Set
from pathlib import Path

from tamperscope.datasets.reading import Problem, images_below
from tamperscope.datasets.sample import Sample
from tamperscope.report import ManipulationType

_AUTHENTIC = re.compile(r"Au_(?P<category>[a-z]{3})_(?P<number>\d+)")
_FORGED = re.compile(
    r"(?:Sp|Tp)_(?P<origin>[DS])_.*_(?P<source>[a-z]{3}\d+)_(?P<target>[a-z]{3}\d+)[_.](?P<number>\d+)"
)
_MASK = re.compile(r"(?P<image>(?:Sp|Tp)_.*)_gt\d?")
_TYPES = {"D": ManipulationType.SPLICING, "S": ManipulationType.COPYMOVE}


def read_casia1(root: Path) -> Iterator[Sample | Problem]:
    """Yield the samples of v1.0, sorted by name."""
    return _read(root, "casia1")


def read_casia2(root: Path) -> Iterator[Sample | Problem]:
    """Yield the samples of v2.0, sorted by name."""
    return _read(root, "casia2")


def _read(root: Path, name: str) -> Iterator[Sample | Problem]:
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for path in images_below(root):
        if match := _MASK.fullmatch(path.stem):
            masks.setdefault(match["image"], path)
        else:
            images.setdefault(path.stem, path)
    true_names = _true_names(images.keys(), masks.keys())
    for stem, image in sorted(images.items()):
        if match := _AUTHENTIC.fullmatch(stem):
            yield Sample(name, image, None, sources=(f"{name}/{match['category']}{match['number']}",))
        elif match := _FORGED.fullmatch(true_names.get(stem, stem)):
            if mask := masks.pop(match[0], None):
                photos = dict.fromkeys(match.group("source", "target"))
                sources = tuple(f"{name}/{photo}" for photo in photos)
                yield Sample(name, image, mask, _TYPES[match["origin"]], sources)
            else:
                yield Problem(image, f"There is no mask {stem}_gt.png.")
    for mask in masks.values():
        yield Problem(mask, "No image belongs to this mask.")


def _true_names(images: Set[str], masks: Set[str]) -> dict[str, str]:
    """Return the corrected names, by image name, of forged images that have no mask of their own name."""
    numbered: dict[str, list[str]] = defaultdict(list)
    for stem in masks - images:
        if match := _FORGED.fullmatch(stem):
            numbered[match["number"]].append(stem)
    names: dict[str, str] = {}
    for stem in sorted(images - masks):
        if match := _FORGED.fullmatch(stem):
            candidates = numbered.pop(match["number"], [])
            if len(candidates) == 1:
                names[stem] = candidates[0]
    return names
