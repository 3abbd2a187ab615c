"""CoMoFoD: copy-move with translation, rotation, scaling and distortion, and 24 kinds of post-processing.

D. Tralic, I. Zupancic, S. Grgic, M. Grgic, "CoMoFoD: New Database for Copy-Move Forgery Detection",
ELMAR 2013.

    001_O.png         authentic
    001_F.png         the same photo, forged
    001_B.png         the mask
    001_M.png         a coloured mask, not read
    001_O_JC1.jpg     authentic, post-processed: JC1 to JC9, IB1 to IB3, NA1 to NA3; also BC, CR, CA
    001_F_JC1.jpg     forged, post-processed

Small images have three-digit numbers, large ones two-digit numbers.

Quirks:
- The mask is white on the copy and on the region that was copied.
- Each kind of post-processing is a separate set, such as `comofod JC1`, because results are reported by kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tamperscope.datasets.reading import Problem, images_below
from tamperscope.datasets.sample import Sample
from tamperscope.report import ManipulationType

_NAME = re.compile(r"(?P<number>\d{2,3})_(?P<mark>[FO])(?:_(?P<processing>[A-Z]{2}\d))?")


def read(root: Path) -> Iterator[Sample | Problem]:
    """Yield the samples, sorted by name."""
    for image in images_below(root):
        match = _NAME.fullmatch(image.stem)
        if not match:
            continue
        name = f"comofod {match['processing']}" if match["processing"] else "comofod"
        sources = (f"comofod/{match['number']}",)
        if match["mark"] == "O":
            yield Sample(name, image, None, sources=sources)
        else:
            mask = image.with_name(f"{match['number']}_B.png")
            yield Sample(name, image, mask, ManipulationType.COPYMOVE, sources)
