"""Gather the quantisation tables of camera originals, and measure how often they contradict an original.

    python benchmarks/camera_tables.py FOLDER... [--out src/tamperscope/evidence/camera_tables.json]

Each FOLDER is a collection of photos as cameras wrote them, named `owner+repository` where it comes from
GitHub. A JPEG counts as an original if it names a maker and a model and nothing says that a program wrote it
again: no mark of an editor, viewer or platform, no Photoshop tables, no later date of change, no other
recorded size, no progressive coding. The figures are found by leaving out each original in turn.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import click
import numpy as np
import PIL.Image

from tamperscope.evidence import metadata, quantisation
from tamperscope.evidence.camera_tables import Device, device_fit
from tamperscope.evidence.metadata.marks import Kind, find
from tamperscope.images import Image

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".thm")
Original = tuple[str, str, str, str, Path]


@click.command()
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON file to write.")
def main(folders: tuple[Path, ...], out: Path | None) -> None:
    """Gather the tables of the photos in FOLDERS."""
    found = [original for folder in folders for original in originals(folder)]
    agrees, contradicts = 0, []
    for maker, model, name, _, path in found:
        rest = Counter((a, b, c) for a, b, c, _, _ in found)
        rest[maker, model, name] -= 1
        fit = device_fit(maker, model, name, devices(rest))
        agrees += fit.agrees
        contradicts += [f"{path.name}: {maker} {model}, {name}"] if fit.contradicts else []
    count = Counter((maker, model, name) for maker, model, name, _, _ in found)
    print("| originals | devices | agree | contradict |\n|---|---|---|---|")
    print(f"| {len(found)} | {len(devices(count))} | {agrees} | {len(contradicts)} |")
    print(*contradicts, sep="\n")
    if out:
        write(out, count, sorted({source for _, _, _, source, _ in found}))


def originals(folder: Path) -> Iterator[Original]:
    """Yield maker, model, name of the tables, collection and path of each original below a folder."""
    seen = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        data = path.read_bytes()
        if data in seen or not data.startswith(b"\xff\xd8"):
            continue
        seen.add(data)
        if original := _original(data):
            yield (*original, folder.name.replace("+", "/"), path)


def _original(data: bytes) -> tuple[str, str, str] | None:
    try:
        with PIL.Image.open(BytesIO(data), formats=("JPEG",)) as picture:
            tables = tuple(
                np.array(picture.quantization[layer[3]], np.uint16).reshape(8, 8) for layer in picture.layer
            )
            size, progressive = set(picture.size), "progressive" in picture.info
    except (OSError, ValueError, KeyError, SyntaxError):
        return None
    # The metadata alone: the pixels need not be decoded.
    stated = metadata.read(Image(np.zeros((1, 1, 3), np.uint8), data, "JPEG"))
    maker, model = stated.first("EXIF", "Make"), stated.first("EXIF", "Model")
    recorded = {stated.first("EXIF", f"ExifImage{side}") for side in ("Width", "Height")}
    taken, changed = (stated.first("EXIF", name) for name in ("DateTimeOriginal", "DateTime"))
    if not (maker and model and tables) or progressive:
        return None
    if any(mark.kind is not Kind.CAMERA for mark in find(stated)) or (taken and changed and taken != changed):
        return None
    if recorded - {"", "0"} and recorded != set(map(str, size)):
        return None
    found = quantisation.origin(tables)
    return None if found.editor else (maker, model, found.name)


def devices(count: Counter[tuple[str, str, str]]) -> tuple[Device, ...]:
    """Return the devices of counted (maker, model, tables)."""
    grouped: dict[tuple[str, str], dict[str, int]] = {}
    for (maker, model, name), number in sorted(count.items()):
        if number:
            grouped.setdefault((maker, model), {})[name] = number
    return tuple(Device(maker, model, tables) for (maker, model), tables in grouped.items())


def write(out: Path, count: Counter[tuple[str, str, str]], sources: list[str]) -> None:
    """Write the tables as JSON, one device a line."""
    rows = ",\n".join(
        "    " + json.dumps({"maker": each.maker, "model": each.model, "tables": each.tables})
        for each in devices(count)
    )
    listed = json.dumps([f"https://github.com/{source}" for source in sources])
    out.write_text(f'{{\n  "sources": {listed},\n  "devices": [\n{rows}\n  ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
