"""Compare what is read of the metadata in a folder with what exiftool reads.

    apt-get install libimage-exiftool-perl
    python benchmarks/metadata.py FOLDER [--differences]

Every image below FOLDER that Pillow opens counts, up to `--most`. A field is compared where both read a
value; spaces and ends of strings do not count. Pixels are not decoded.
"""

from __future__ import annotations

import json
import subprocess
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import PIL.Image

from tamperscope.evidence import metadata
from tamperscope.images import Image

FIELDS = {
    "make": ("Make", "Make"),
    "model": ("Model", "Model"),
    "software": ("Software", "Software"),
    "taken": ("DateTimeOriginal", "DateTimeOriginal"),
    "changed": ("DateTime", "ModifyDate"),
    "orientation": ("Orientation", "Orientation"),
}
"""The names of EXIF fields here and at exiftool."""
DIRECTORIES = ("IFD0", "ExifIFD")
NO_PIXELS = np.zeros((1, 1, 3), np.uint8)
AT_A_TIME = 200


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--most", default=2000, show_default=True, help="Images that are compared.")
@click.option("--differences", is_flag=True, help="Also print each difference.")
def main(folder: Path, most: int, differences: bool) -> None:
    """Compare the metadata of the images in FOLDER."""
    warnings.simplefilter("ignore")  # Pillow's, about damaged files
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and recognised(path))[:most]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    different = []
    for path, theirs in exiftool(paths):
        ours = read(path)
        for field, value in theirs.items():
            outcome = compared(ours[field], value)
            counts[field][outcome] += 1
            if outcome not in ("neither", "equal"):
                different.append(f"{field}: {ours[field][:60]!r}, {value[:60]!r}  {path.relative_to(folder)}")
    print(f"{len(paths)} images\n")
    print("| field | both read | equal | share | only here | only exiftool |\n|---|---|---|---|---|---|")
    for field, count in counts.items():
        both = count["equal"] + count["different"]
        share = f"{count['equal'] / both:.2%}" if both else "–"
        print(f"| {field} | {both} | {count['equal']} | {share} | {count['ours']} | {count['theirs']} |")
    if differences:
        print(*different, sep="\n")


FORMATS = {
    "JPEG": "JPEG",
    "MPO": "JPEG",
    **{name: name for name in ("PNG", "WEBP", "TIFF", "GIF", "HEIF", "AVIF")},
}
"""Pillow's names of formats, and ours."""


def recognised(path: Path) -> str | None:
    """Return the format of an image; None for what Pillow does not open."""
    try:
        with PIL.Image.open(path) as picture:
            return FORMATS.get(picture.format or "")
    except Exception:  # whatever a damaged file makes a decoder raise
        return None


def read(path: Path) -> dict[str, str]:
    """Return the compared fields as this program reads them; empty texts where there is nothing."""
    stated = metadata.read(Image(NO_PIXELS, path.read_bytes(), recognised(path) or ""))
    return {
        **{field: stated.first("EXIF", name) for field, (name, _) in FIELDS.items()},
        "GPS position": "present" if stated.position else "",
        "thumbnail": "present" if any(each.place == "EXIF" for each in stated.previews) else "",
    }


def exiftool(paths: list[Path]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield each path and the compared fields as exiftool reads them."""
    tags = [f"-{name}" for _, name in FIELDS.values()]
    wanted = [
        *tags,
        "-GPS:GPSLatitude",
        "-GPS:GPSLongitude",
        "-IFD1:ThumbnailOffset",
        "-IFD1:ThumbnailLength",
    ]
    for start in range(0, len(paths), AT_A_TIME):
        part = paths[start : start + AT_A_TIME]
        command = [
            "exiftool",
            "-j",
            "-n",
            "-G1",
            "-q",
            "-q",
            "-m",
            "-charset",
            "EXIF=Latin1",
            *wanted,
            "-@",
            "-",
        ]
        listed = "\n".join(str(path.absolute()) for path in part)
        done = subprocess.run(command, input=listed, stdout=subprocess.PIPE, text=True, check=False)
        rows = {row["SourceFile"]: row for row in json.loads(done.stdout or "[]")}
        for path in part:
            yield path, fields(rows.get(str(path.absolute()), {}))


def fields(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the compared fields of one row of exiftool."""
    # Cameras also write directories whose values are empty.
    placed = all(str(row.get(f"GPS:{name}", "")).strip() for name in ("GPSLatitude", "GPSLongitude"))
    return {
        **{
            field: next((str(row[f"{each}:{name}"]) for each in DIRECTORIES if f"{each}:{name}" in row), "")
            for field, (_, name) in FIELDS.items()
        },
        "GPS position": "present" if placed else "",
        "thumbnail": "present" if row.get("IFD1:ThumbnailLength") else "",
    }


def compared(ours: str, theirs: str) -> str:
    """Return neither, equal, different, ours or theirs."""
    first, second = (" ".join(value.partition("\0")[0].split()) for value in (ours, theirs))
    if first and second:
        return "equal" if first == second or number(first) == number(second) is not None else "different"
    return "ours" if first else "theirs" if second else "neither"


def number(value: str) -> float | None:
    """Return the number that a text is; None if it is something else."""
    try:
        return float(value)
    except ValueError:
        return None


if __name__ == "__main__":
    main()
