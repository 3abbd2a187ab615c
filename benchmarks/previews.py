"""Count how often an honest preview is taken for another picture, and how many forgeries an old one shows.

    python benchmarks/previews.py FOLDER [--forged 50] [--listed]

The photos are the JPEGs below FOLDER that carry a preview and name a camera. For the forgeries, a piece of
one photo is put into another, whose old preview is kept. Only photos whose own preview fits are forged.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.errors import ImageError
from tamperscope.evidence import metadata
from tamperscope.evidence.metadata.comparison import preview
from tamperscope.images import Image, read_image

SHARES = (0.15, 0.35)
"""Smallest and largest side of a foreign piece, relative to that of the photo."""
BORDER = 0.05
"""Share of each side in which nothing is forged."""
NO_PIXELS = np.zeros((1, 1, 3), np.uint8)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--forged", default=50, show_default=True, help="Forgeries that are made.")
@click.option("--seed", default=0, show_default=True, help="Seed of the places and pieces.")
@click.option("--listed", is_flag=True, help="Also print the photos that are flagged.")
def main(folder: Path, forged: int, seed: int, listed: bool) -> None:
    """Compare the photos in FOLDER, and forgeries of them, with their previews."""
    warnings.simplefilter("ignore")  # Pillow's, about damaged files
    rng = np.random.default_rng(seed)
    photos, flagged, missed = 0, [], []
    made = 0
    donor: NDArray[np.uint8] | None = None
    for path, image in camera_photos(folder):
        found = preview(image)
        if found is None:
            continue
        photos += 1
        if found.differs:
            flagged.append(path)
        elif donor is not None and made < forged:
            made += 1
            if not still_found(image, donor, rng):
                missed.append(path)
        donor = image.pixels
    print("| pictures | count | preview differs |\n|---|---|---|")
    print(f"| camera photos with a preview | {photos} | {len(flagged)} |")
    print(f"| forged, old preview kept | {made} | {made - len(missed)} |")
    if listed:
        print("\nFlagged:", *flagged, "\nMissed:", *missed, sep="\n")


def camera_photos(folder: Path) -> Iterator[tuple[Path, Image]]:
    """Yield the JPEGs below a folder that name a camera and carry a preview."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")):
        data = path.read_bytes()
        stated = metadata.read(Image(NO_PIXELS, data, "JPEG"))
        if not (stated.first("EXIF", "Model") and stated.previews):
            continue
        try:
            yield path, read_image(data)
        except ImageError:
            continue


def still_found(image: Image, donor: NDArray[np.uint8], rng: np.random.Generator) -> bool:
    """Return whether the previews of a photo differ from it after a piece of the donor is put into it."""
    found = preview(Image(forgery(image.pixels, donor, rng), image.data, image.format))
    return found is not None and found.differs


def forgery(
    photo: NDArray[np.uint8], donor: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a photo with a rectangular piece of another, both (height, width, 3) uint8 RGB."""
    rows, columns = photo.shape[:2]
    height, width = (max(1, round(side * rng.uniform(*SHARES))) for side in (rows, columns))
    top, left = (
        int(rng.integers(round(BORDER * side), round((1 - BORDER) * side) - piece + 1))
        for side, piece in ((rows, height), (columns, width))
    )
    whole = cv2.resize(donor, (columns, rows), interpolation=cv2.INTER_AREA)
    y, x = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
    forged = photo.copy()
    forged[top : top + height, left : left + width] = whole[y : y + height, x : x + width]
    return forged


if __name__ == "__main__":
    main()
