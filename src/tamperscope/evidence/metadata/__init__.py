"""Everything that a file states about itself, and where it contradicts the picture.

`reading` reads it, `marks` knows generators and editors, `origin_claims` says what follows for the origin,
`comparison` compares the embedded preview, and `measurement` makes evidence of it.
"""

from tamperscope.evidence.metadata.comparison import Preview, picture_of, preview
from tamperscope.evidence.metadata.measurement import NAME, measure
from tamperscope.evidence.metadata.origin_claims import claims
from tamperscope.evidence.metadata.reading import Metadata, read
from tamperscope.images import Image

__all__ = ["NAME", "Metadata", "Preview", "claims", "measure", "picture_of", "position", "preview", "read"]


def position(image: Image) -> tuple[float, float] | None:
    """Return (latitude, longitude) in degrees, north and east positive; None if the file states none.

    Nothing else discloses it: only the person who took a picture may decide to publish where.
    """
    return read(image).position
