"""Columbia Uncompressed Image Splicing Detection Evaluation Dataset.

Y.-F. Hsu, S.-F. Chang, "Detecting Image Splicing Using Geometry Invariants and Camera Characteristics
Consistency", ICME 2006.

    4cam_auth/canonxt_29_sub_07.tif
    4cam_splc/canong3_canonxt_sub_16.tif
    4cam_splc/edgemask/canong3_canonxt_sub_16_edgemask.jpg

Quirks:
- A mask shows which of two cameras each pixel is from, not what was inserted. Pixels are red or green: bright
  near the edge between the cameras, and darker elsewhere. By convention, both greens are the manipulated
  region.
- Masks are JPEG files, so a pixel's green is compared with its red, not with a fixed colour.
- Names identify cameras, not photos, so the sources are unknown.
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
        if image.parent.name == "4cam_auth":
            yield Sample("columbia", image, None)
        elif image.parent.name == "4cam_splc":
            mask = image.parent / "edgemask" / f"{image.stem}_edgemask.jpg"
            yield Sample("columbia", image, mask, ManipulationType.SPLICING, mask_encoding=MaskEncoding.GREEN)
