"""Count what the structure of camera files is said to tell.

    python benchmarks/structure.py FOLDER

Every image below FOLDER counts that Pillow opens and whose EXIF names a maker. Numbers in the sentences are
left out. Pixels are not decoded.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path

import click
from metadata import NO_PIXELS, recognised

from tamperscope.evidence import metadata, structure
from tamperscope.images import Image

SENTENCE = re.compile(r"(?<=[.”]) (?=[A-Z])")
NUMBER = re.compile(r"\d[\d,]*")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Count the sentences on the structure of the camera files in FOLDER."""
    warnings.simplefilter("ignore")  # Pillow's, about damaged files
    files: Counter[str] = Counter()
    notable: Counter[str] = Counter()
    told: Counter[tuple[str, str]] = Counter()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        image_format = recognised(path)
        if image_format is None:
            continue
        image = Image(NO_PIXELS, path.read_bytes(), image_format)
        if not metadata.read(image).first("EXIF", "Make"):
            continue
        found = structure.measure(image)
        files[image_format] += 1
        notable[image_format] += found.notable
        for sentence in SENTENCE.split(found.finding):
            told[image_format, NUMBER.sub("…", sentence)] += 1
    print("| format | camera files | notable |\n|---|---|---|")
    for image_format, count in files.most_common():
        print(f"| {image_format} | {count} | {notable[image_format]} |")
    print("\n| format | sentence | files |\n|---|---|---|")
    for (image_format, sentence), count in told.most_common():
        print(f"| {image_format} | {sentence} | {count} |")


if __name__ == "__main__":
    main()
