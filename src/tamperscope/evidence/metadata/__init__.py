"""Everything that a file states about itself, and where it contradicts the picture.

`reading` reads it, `marks` knows generators and editors, `origin_claims` says what follows for the origin,
`embedded` finds the previews inside the file, `comparison` compares them with the picture, and `measurement`
makes evidence of it all.
"""

from dataclasses import dataclass

from tamperscope.evidence.metadata.comparison import Preview, picture_of, preview, previews
from tamperscope.evidence.metadata.measurement import NAME, measure
from tamperscope.evidence.metadata.origin_claims import claims
from tamperscope.evidence.metadata.reading import Metadata, read
from tamperscope.images import Image

__all__ = [
    "NAME",
    "Location",
    "Metadata",
    "Preview",
    "claims",
    "location",
    "measure",
    "picture_of",
    "preview",
    "previews",
    "read",
]


@dataclass(frozen=True)
class Location:
    """Where a file states that its picture was taken."""

    latitude: float
    """In degrees, north positive."""
    longitude: float
    """In degrees, east positive."""
    map: str
    """Address of a map of that place, for a person to open. Nothing in this program requests it."""

    def __str__(self) -> str:
        return f"{self.latitude:.6f}, {self.longitude:.6f}"


def location(image: Image) -> Location | None:
    """Return where a file states that its picture was taken; None if it states nothing.

    Nothing else discloses it: only the person who took a picture may decide to publish where.
    """
    position = read(image).position
    if position is None:
        return None
    latitude, longitude = (round(degrees, 6) for degrees in position)
    address = f"https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}#map=15/{latitude}/{longitude}"
    return Location(latitude, longitude, address)
