"""Measure how many forgeries per second one core makes, per type and for the mix without exemplar filling.

    python benchmarks/synthesis.py --photos DIR [--object-masks DIR] [--size 512] [--count 200]

Times are seconds of processor time of one thread, so that other programs on the machine hardly affect them. A
photo is searched for faces and foregrounds only once. The benchmark searches all photos first, and prints how
long that took.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import click
import cv2

from tamperscope.report import ManipulationType
from tamperscope.synthesis import Mix, PhotoLibrary, stream
from tamperscope.synthesis.inpainting import METHODS

QUICK = {name: share for name, share in METHODS.items() if name != "exemplar"}


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--object-masks", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--size", default=512, show_default=True, help="Width and height of a forgery in pixels.")
@click.option("--count", default=200, show_default=True, help="Forgeries per row.")
def main(photos: Path, object_masks: Path | None, size: int, count: int) -> None:
    cv2.setNumThreads(1)
    library = PhotoLibrary.open(photos, object_masks)
    started = time.process_time()
    for photo in library.photos:
        library.face(photo)
        library.foreground(photo)
    searching = time.process_time() - started
    click.echo(
        f"{len(library.photos)} photos, {1000 * searching / len(library.photos):.0f} ms each "
        "to search for faces and foregrounds"
    )
    rows = {
        "mix without exemplar filling": Mix(fillings=QUICK),
        "mix": Mix(),
        "authentic": Mix(authentic=1.0),
    }
    for kind in ManipulationType:
        if kind is not ManipulationType.INPAINTING:
            rows[kind.value] = Mix(authentic=0.0, types={kind: 1.0})
    for method in METHODS:
        rows[f"inpainting, {method}"] = Mix(
            authentic=0.0, types={ManipulationType.INPAINTING: 1.0}, fillings={method: 1.0}
        )
    for name, mix in rows.items():
        started = time.process_time()
        for _ in islice(stream(library, 7, size, mix), count):
            pass
        click.echo(f"{name:30} {count / (time.process_time() - started):6.1f} images/s")


if __name__ == "__main__":
    main()
