"""DSO-1: people spliced into photos of people.

T. J. de Carvalho et al., "Exposing Digital Image Forgeries by Illumination Color Classification",
IEEE TIFS 2013.

    DSO-1/normal-01.png
    DSO-1/splicing-01.png
    DSO-1-Fake-Images-Masks/splicing-01.png

Quirks:
- Masks are black where manipulated.
- `normal-01` is not the photo that `splicing-01` was made from, so the sources are unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tamperscope.datasets.reading import Problem, images_below
from tamperscope.datasets.sample import MaskEncoding, Sample
from tamperscope.report import ManipulationType


def read(root: Path) -> Iterator[Sample | Problem]:
    """Yield the authentic images, then the spliced ones, sorted by name."""
    for image in images_below(root):
        if image.parent.name != "DSO-1":
            continue
        if image.stem.startswith("normal-"):
            yield Sample("dso1", image, None)
        elif image.stem.startswith("splicing-"):
            mask = image.parents[1] / "DSO-1-Fake-Images-Masks" / image.name
            yield Sample("dso1", image, mask, ManipulationType.SPLICING, mask_encoding=MaskEncoding.BLACK)
