"""How a file is built: the order of its parts, how the picture was coded, and what follows it.

`jpeg`, `png`, `webp`, `boxes` (HEIF and AVIF), `tiff`, `gif` and `bmp` know one format each, `trailing` what
follows a picture, and `measurement` makes evidence of it.
"""

from tamperscope.evidence.structure.measurement import NAME, measure

__all__ = ["NAME", "measure"]
