"""COVERAGE: copy-move among similar but genuine objects.

B. Wen et al., "COVERAGE: A Novel Database for Copy-Move Forgery Detection", ICIP 2016.

    image/1.tif           authentic
    image/1t.tif          the same photo, forged
    mask/1forged.tif      the manipulated region; 1copy.tif and 1paste.tif are not read
    label/                tampering factors, not read

The case of the folders' names does not matter: some copies have `Image/` and `Mask/`.

Quirk: nine masks (41, 48, 55 to 59, 61 and 95) differ in size from their image and are skipped. Corrected
masks exist, and are read like the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tamperscope.datasets.reading import Problem, child, images_below
from tamperscope.datasets.sample import Sample
from tamperscope.report import ManipulationType


def read(root: Path) -> Iterator[Sample | Problem]:
    """Yield the samples, sorted by name."""
    for image in images_below(root):
        if image.parent.name.lower() != "image":
            continue
        number = image.stem.removesuffix("t")
        sources = (f"coverage/{number}",)
        if image.stem == number:
            yield Sample("coverage", image, None, sources=sources)
        else:
            mask = child(image.parents[1], "mask") / f"{number}forged.tif"
            yield Sample("coverage", image, mask, ManipulationType.COPYMOVE, sources)
