"""What an analysis says: plain frozen data, with one JSON form for the command line, the API and files."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamperscope._version import __version__

NOTABLE = 0.5
"""The strength from which evidence deserves a look."""


class ManipulationType(enum.StrEnum):
    """How an image was manipulated; spelling and order are part of the public contract."""

    SPLICING = "splicing"
    COPYMOVE = "copymove"
    INPAINTING = "inpainting"
    FACE = "face"

    @property
    def id(self) -> int:
        """The class id, 0 to 3: the index of this type in a network's type scores."""
        return list(type(self)).index(self)


def printed_score(score: float) -> str:
    """Return a score, 0 to 1, as people read it: two digits, 0.01 to 0.99, as none is ever certain."""
    return f"{min(max(score, 0.01), 0.99):.2f}"


class Verdict(enum.StrEnum):
    """What the score means at the bundle's two operating points."""

    MANIPULATED = "manipulated"
    AUTHENTIC = "authentic"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in pixels of the upright image; `x`, `y` is its top left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Source:
    """What an area is a copy of."""

    polygon: tuple[tuple[int, int], ...]
    """Outer contour as (x, y) pixels, simplified to within one pixel."""
    certainty: float
    """Probability, 0 to 1, that the area is the copy and this the source, and not the other way round."""
    decided: bool
    """Whether that is certain enough for only one of the two to be marked."""

    def to_json(self) -> dict[str, Any]:
        """Return the source in types that `json.dumps` takes."""
        return {
            "polygon": [list(point) for point in self.polygon],
            "certainty": round(self.certainty, 4),
            "decided": self.decided,
        }


@dataclass(frozen=True)
class Region:
    """One connected manipulated area of the mask."""

    box: Box
    polygon: tuple[tuple[int, int], ...]
    """Outer contour as (x, y) pixels, simplified to within one pixel."""
    area_share: float
    """Share of the image's pixels, 0 to 1."""
    probability: float
    """Mean manipulation probability inside the region, 0 to 1."""
    type: ManipulationType | None = None
    """How this area was manipulated, where evidence shows it; None where only the report's type says so."""
    source: Source | None = None
    """Of one of two areas that repeat one another: the other one."""

    def to_json(self) -> dict[str, Any]:
        """Return the region in types that `json.dumps` takes."""
        return {
            "box": asdict(self.box),
            "polygon": [list(point) for point in self.polygon],
            "area_share": round(self.area_share, 6),
            "probability": round(self.probability, 4),
            "type": self.type.value if self.type else None,
            "source": self.source.to_json() if self.source else None,
        }


@dataclass(frozen=True)
class Explanation:
    """What a reader who is no expert must know about a measurement before concluding anything."""

    what_you_see: str
    what_it_can_mean: str
    what_it_cannot: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """One independent forensic measurement of one image."""

    name: str
    """The measurement's name in the API, such as `clones`."""
    explanation: Explanation
    finding: str
    """What was found in this image, in one sentence; the reason, where the measurement does not apply."""
    strength: float | None
    """0 to 1, how unusual the image is to this measurement: authentic photos reach `NOTABLE` in at most three
    cases of a hundred. None where the measurement does not apply.
    """
    map: NDArray[np.float32] | None = None
    """(height, width) in 0..1: where; None where the measurement says nothing about places."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What was found in a form for programs and tables, of a shape that each measurement describes, in types
    that `json.dumps` takes.
    """

    @property
    def applicable(self) -> bool:
        """Whether the measurement could be made on this image."""
        return self.strength is not None

    @property
    def notable(self) -> bool:
        """Whether a person should look at it."""
        return self.strength is not None and self.strength >= NOTABLE

    def to_json(self) -> dict[str, Any]:
        """Return the evidence without its map, in types that `json.dumps` takes."""
        return {
            "finding": self.finding,
            "strength": None if self.strength is None else round(self.strength, 4),
            "notable": self.notable,
            "applicable": self.applicable,
            "explanation": asdict(self.explanation),
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Reason:
    """How one measurement moved the score."""

    name: str
    """`network_map` or the name of evidence."""
    effect: float
    """Change of the score's log-odds, compared with what the average authentic image has."""

    @property
    def text(self) -> str:
        """The same in words."""
        what = (
            "The network's map of manipulated areas"
            if self.name == "network_map"
            else f"The search for {self.name.replace('_', ' ').replace('jpeg', 'JPEG')}"
        )
        times = math.exp(abs(self.effect))
        if times < 1.05:
            return f"{what} hardly moved the score."
        direction = "more" if self.effect > 0 else "less"
        # A few hundred calibration images do not tell 300 times from 400.
        how = "more than 100" if times > 100 else f"{times:.0f}" if times >= 10 else f"{times:.1f}"
        return f"{what} makes a manipulation {how} times {direction} likely than it is on average."


@dataclass(frozen=True)
class ImageFacts:
    """What is known about the file itself."""

    width: int
    height: int
    format: str
    byte_count: int
    sha256: str
    notes: tuple[str, ...]
    """What was done on reading that the reader should know: first page taken, orientation applied..."""


@dataclass(frozen=True)
class BundleIdentity:
    """Which bundle produced a report."""

    name: str
    version: str
    sha256: str
    """Digest of the bundle's manifest, which itself holds the digests of its files."""


@dataclass(frozen=True)
class OperatingPoints:
    """Between which scores a bundle concludes nothing, and how often it was wrong outside of them."""

    authentic_below: float
    """Score, 0 to 1, below which an image is called authentic."""
    manipulated_above: float
    """Score, 0 to 1, above which an image is called manipulated; never less than `authentic_below`."""
    false_alarm_rate: float
    """Share of the authentic images it was measured on that may exceed `manipulated_above`."""
    miss_rate: float
    """Share of the manipulated images, likewise, that may fall below `authentic_below`."""
    authentic_images: int
    manipulated_images: int


@dataclass(frozen=True, eq=False)
class Report:
    """The whole answer for one image."""

    verdict: Verdict
    score: float
    """Calibrated probability, 0 to 1, that the image was manipulated at all."""
    type: ManipulationType
    """The most probable type, given that the image was manipulated."""
    type_scores: Mapping[ManipulationType, float]
    """Probability of each type, summing to 1, given that the image was manipulated."""
    regions: tuple[Region, ...]
    """Connected areas of the mask, largest first."""
    threshold: float
    """The bundle's: heatmap value, 0 to 1, from which a pixel belongs to the mask."""
    notes: tuple[str, ...]
    """What limits this analysis: the image was scaled, the bundle is uncalibrated, map and score differ..."""
    image: ImageFacts
    bundle: BundleIdentity
    mask: NDArray[np.bool_]
    """(height, width): True where manipulated, at the bundle's threshold."""
    heatmap: NDArray[np.float32]
    """(height, width) in 0..1: manipulation probability of each pixel."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """The independent measurements that were made, by their names."""
    reasons: tuple[Reason, ...] = ()
    """What moved the score, strongest first; empty without a calibration."""
    measurements: Mapping[str, float] = field(default_factory=dict)
    """What the score was computed from, as `calibration.fit` takes it."""
    operating_points: OperatingPoints | None = None
    """What turned the score into the verdict; None where the bundle is not calibrated."""

    def to_json(self) -> dict[str, Any]:
        """Return the report without its maps, in types that `json.dumps` takes."""
        return {
            "verdict": self.verdict.value,
            "score": round(self.score, 4),
            "operating_points": None if self.operating_points is None else asdict(self.operating_points),
            "type": self.type.value,
            "type_scores": {kind.value: round(share, 4) for kind, share in self.type_scores.items()},
            "threshold": self.threshold,
            "regions": [region.to_json() for region in self.regions],
            "reasons": [
                {"name": reason.name, "effect": round(reason.effect, 4), "text": reason.text}
                for reason in self.reasons
            ],
            "evidence": {name: evidence.to_json() for name, evidence in self.evidence.items()},
            "notes": list(self.notes),
            "image": {**asdict(self.image), "notes": list(self.image.notes)},
            "bundle": asdict(self.bundle),
            "versions": {"tamperscope": __version__},
        }
