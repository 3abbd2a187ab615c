"""Count how often an honest preview is taken for another picture, and how many forgeries an old one shows.

    python benchmarks/previews.py FOLDER [--forged 50] [--listed]

The photos are the JPEG, HEIF and AVIF files below FOLDER that carry a preview and name a camera. For the
forgeries, a piece of one photo is put into another, whose old previews are kept. Only photos whose own
previews fit are forged.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import cv2
import numpy as np
from metadata import NO_PIXELS, recognised
from numpy.typing import NDArray

from tamperscope.errors import ImageError
from tamperscope.evidence import metadata
from tamperscope.evidence.metadata.comparison import Preview, previews
from tamperscope.images import Image, read_image

SHARES = (0.15, 0.35)
"""Smallest and largest side of a foreign piece, relative to that of the photo."""
BORDER = 0.05
"""Share of each side in which nothing is forged."""
SUFFIXES = (".jpg", ".jpeg", ".heic", ".heif", ".hif", ".avif")


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
    places: dict[str, Counter[str]] = defaultdict(Counter)
    made = 0
    donor: NDArray[np.uint8] | None = None
    for path, image in camera_photos(folder):
        found = previews(image)
        if not found:
            continue
        photos += 1
        count(places, found, "previews", "differ")
        if any(small.differs for small in found):
            flagged.append(path)
        elif donor is not None and made < forged:
            made += 1
            left = previews(Image(forgery(image.pixels, donor, rng), image.data, image.format))
            count(places, left, "forged", "found")
            if not any(small.differs for small in left):
                missed.append(path)
        donor = image.pixels
    print("| pictures | count | preview differs |\n|---|---|---|")
    print(f"| camera photos with a preview | {photos} | {len(flagged)} |")
    print(f"| forged, old preview kept | {made} | {made - len(missed)} |")
    print("\n| place of the preview | in photos | differs | in forgeries | differs |\n|---|---|---|---|---|")
    for place, numbers in sorted(places.items(), key=lambda each: -each[1]["previews"]):
        print("|", place, *(f"| {numbers[name]}" for name in ("previews", "differ", "forged", "found")), "|")
    if listed:
        print("\nFlagged:", *flagged, "\nMissed:", *missed, sep="\n")


def count(places: dict[str, Counter[str]], found: Sequence[Preview], all_of: str, differing: str) -> None:
    """Add previews, and those that differ, to the numbers of their places."""
    for small in found:
        places[small.place][all_of] += 1
        places[small.place][differing] += small.differs


def camera_photos(folder: Path) -> Iterator[tuple[Path, Image]]:
    """Yield the JPEG, HEIF and AVIF files below a folder that name a camera and carry a preview."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        data = path.read_bytes()
        stated = metadata.read(Image(NO_PIXELS, data, recognised(path) or ""))
        if not (stated.first("EXIF", "Model") and stated.previews):
            continue
        try:
            yield path, read_image(data)
        except ImageError:
            continue


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
