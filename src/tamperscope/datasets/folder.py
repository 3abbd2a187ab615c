"""The plain layout: `images/` and `masks/` with equal stems, and `authentic/`."""

from __future__ import annotations

from pathlib import Path

from tamperscope.datasets.sample import Sample

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def read_folder(root: Path) -> list[Sample]:
    """Read one set in the plain layout, or a folder of such sets, sorted by name.

    A mask is an image file with the stem of its image, white where manipulated.

    Raises FileNotFoundError when there is nothing to read or a forged image has no mask.
    """
    samples: list[Sample] = []
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        if (folder / "images").is_dir() or (folder / "authentic").is_dir():
            samples += _read_set(folder)
    if not samples:
        raise FileNotFoundError(f"{root} holds no images/ and no authentic/ folder, nor sets that do")
    return samples


def _read_set(folder: Path) -> list[Sample]:
    masks = {path.stem: path for path in _files(folder / "masks")}
    forged = _files(folder / "images")
    without = [path.name for path in forged if path.stem not in masks]
    if without:
        raise FileNotFoundError(
            f"{len(without)} of {len(forged)} images in {folder.name} have no mask, {without[0]} for one"
        )
    return [
        *(Sample(folder.name, path, masks[path.stem]) for path in forged),
        *(Sample(folder.name, path, None) for path in _files(folder / "authentic")),
    ]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
