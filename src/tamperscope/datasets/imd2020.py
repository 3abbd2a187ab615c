"""IMD2020, the real-life part: manipulated images by unknown people, found on the web, with their originals.

A. Novozamsky, B. Mahdian, S. Saic, "IMD2020: A Large-Scale Annotated Dataset Tailored for Detecting
Manipulated Images", WACV Workshops 2020.

    1b8r7b/1b8r7b_orig.jpg         the original
    1b8r7b/c94os8l_0.png           a manipulation of it, JPEG or PNG
    1b8r7b/c94os8l_0_mask.png      its mask

Quirks:
- The type of manipulation is unknown.
- One mask (`z14/00030_fake`) differs in size from its image and is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tamperscope.datasets.reading import Problem, images_below
from tamperscope.datasets.sample import Sample


def read(root: Path) -> Iterator[Sample | Problem]:
    """Yield the samples, sorted by folder and name."""
    for image in images_below(root):
        sources = (f"imd2020/{image.parent.name}",)
        if image.stem.endswith("_orig"):
            yield Sample("imd2020", image, None, sources=sources)
        elif not image.stem.endswith("_mask"):
            mask = image.with_name(f"{image.stem}_mask.png")
            yield Sample("imd2020", image, mask, sources=sources)
