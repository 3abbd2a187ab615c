"""What an analysis says: plain frozen data, with one JSON form for the command line, the API and files.

    report = detector.analyze("photo.jpg")
    report.record                                  # the same without maps: what is stored, sent and printed
    ReportRecord.from_json(report.to_json())       # read back

`Report` is what an analysis makes, maps included. `ReportRecord` is its JSON form as typed data.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from tamperscope._version import __version__
from tamperscope.origin import UNKNOWN_ORIGIN, Origin

if TYPE_CHECKING:
    # Clients read reports without NumPy.
    import numpy as np
    from numpy.typing import NDArray

NOTABLE = 0.5
"""The strength from which evidence is notable."""


@dataclass(frozen=True)
class Range:
    """The range of a number: for readers of a type, and for the API's description of it."""

    minimum: float
    maximum: float

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> Any:
        """Add the range to the JSON Schema of the number."""
        return {**handler(schema), **asdict(self)}


Probability = Annotated[float, Range(0, 1)]


class ManipulationType(enum.StrEnum):
    """How an image was manipulated. Spelling and order are part of the public contract."""

    SPLICING = "splicing"
    COPYMOVE = "copymove"
    INPAINTING = "inpainting"
    FACE = "face"

    @property
    def id(self) -> int:
        """The class id, 0 to 3, which is the index of this type in the type scores of a network."""
        return list(type(self)).index(self)


def printed_score(score: float, digits: int = 2) -> str:
    """Return a score, 0 to 1, for people, with `digits` digits: from 0.01 to 0.99, as no score is certain.

    >>> printed_score(0.9998)
    '0.99'
    """
    return f"{min(max(score, 0.01), 0.99):.{digits}f}"


def printed_type(kind: str, verdict: str, rule: object) -> str:
    """Return the type of a manipulation for people; empty where the score suspects none.

    That is so for a verdict of `authentic`, and may be so where a rule of the origin limited it.

    >>> printed_type("splicing", "inconclusive", None)
    'splicing'
    >>> printed_type("splicing", "inconclusive", "declared_generated")
    ''
    """
    suspected = verdict == Verdict.MANIPULATED or (verdict == Verdict.INCONCLUSIVE and not rule)
    return kind if suspected else ""


def all_notes(report: Report | ReportRecord) -> tuple[str, ...]:
    """Return what the reader of a report should know, of its verdict and of how the file was read."""
    return *report.notes, *report.image.notes


CPU: Literal["cpu"] = "cpu"
"""The device that runs the networks unless another one is asked for."""


class Verdict(enum.StrEnum):
    """What the score means at the two operating points of the bundle."""

    MANIPULATED = "manipulated"
    AUTHENTIC = "authentic"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in pixels of the upright image. `x`, `y` is its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def scaled(self, across: float, down: float) -> Box:
        """Return the box in an image that is so many times as wide and as high."""
        (x, y), (right, bottom) = scaled_points(
            ((self.x, self.y), (self.x + self.width, self.y + self.height)), across, down
        )
        return Box(x, y, right - x, bottom - y)


def percent(share: float) -> str:
    """Return a share, 0 to 1, as a percentage with at most one decimal: `2 %`, `0.4 %` or `< 0.1 %`."""
    if 0 < share < 0.0005:
        return "<\N{NO-BREAK SPACE}0.1\N{NO-BREAK SPACE}%"
    digits = 0 if share == 0 or share >= 0.0995 else 1
    return f"{100 * share:.{digits}f}".removesuffix(".0") + "\N{NO-BREAK SPACE}%"


def scaled_points(
    points: tuple[tuple[int, int], ...], across: float, down: float
) -> tuple[tuple[int, int], ...]:
    """Return points, each (x, y), in an image that is so many times as wide and as high."""
    return tuple((round(x * across), round(y * down)) for x, y in points)


@dataclass(frozen=True)
class CopySource:
    """The source that a region was copied from."""

    polygon: tuple[tuple[int, int], ...]
    """Outer contour as (x, y) pixels, simplified to within one pixel."""
    certainty: float
    """Probability, 0 to 1, that the region is the copy and this is its source, and not the other way round.
    """
    decided: bool
    """Whether that is certain enough to mark only one of the two."""

    def scaled(self, across: float, down: float) -> CopySource:
        """Return the source in an image that is so many times as wide and as high."""
        return replace(self, polygon=scaled_points(self.polygon, across, down))

    def to_json(self) -> dict[str, Any]:
        """Return the source in types that `json.dumps` takes."""
        return {
            "polygon": [list(point) for point in self.polygon],
            "certainty": self.certainty,
            "decided": self.decided,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned."""
        # Records of earlier versions have only decided sources.
        return cls(_points(document["polygon"]), document["certainty"], document.get("decided", True))


@dataclass(frozen=True)
class Region:
    """One connected manipulated region of the mask."""

    box: Box
    polygon: tuple[tuple[int, int], ...]
    """Outer contour as (x, y) pixels, simplified to within one pixel."""
    area_share: float
    """Share of the image's pixels, 0 to 1."""
    probability: float
    """Mean manipulation probability inside the region, 0 to 1."""
    type: ManipulationType | None = None
    """How this region was manipulated, if evidence shows it; None if only the type of the report says so."""
    source: CopySource | None = None
    """The other one of two regions that repeat each other; None for a region without a copy."""
    agreement: Mapping[str, bool] = field(default_factory=dict)
    """Whether each measurement that looks for regions singles out this one, by the measurement's name;
    `network_map` is the networks' own map. Empty in records of earlier versions.
    """

    def scaled(self, across: float, down: float) -> Region:
        """Return the region in an image that is so many times as wide and as high."""
        return replace(
            self,
            box=self.box.scaled(across, down),
            polygon=scaled_points(self.polygon, across, down),
            source=self.source and self.source.scaled(across, down),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the region in types that `json.dumps` takes."""
        return {
            "box": asdict(self.box),
            "polygon": [list(point) for point in self.polygon],
            "area_share": self.area_share,
            "probability": self.probability,
            "type": self.type.value if self.type else None,
            "source": self.source.to_json() if self.source else None,
            "agreement": dict(self.agreement),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned."""
        kind, source = document.get("type"), document.get("source")
        return cls(
            box=Box(**document["box"]),
            polygon=_points(document["polygon"]),
            area_share=document["area_share"],
            probability=document["probability"],
            type=ManipulationType(kind) if kind else None,
            source=CopySource.from_json(source) if source else None,
            agreement=document.get("agreement", {}),
        )


@dataclass(frozen=True)
class Explanation:
    """What a reader without expertise must know about a measurement before drawing conclusions."""

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
    """What was found in this image, in one sentence; the reason if the measurement does not apply."""
    strength: float | None
    """How unusual the image is to this measurement, 0 to 1. At most 3 % of authentic photos reach `NOTABLE`.
    None if the measurement does not apply.
    """
    map: NDArray[np.float32] | None = None
    """float32, 0 to 1: where in the image; None if the measurement has no map. Its shape is the image's
    `map_shape`: (height, width), scaled down in images of more than 16 megapixels.
    """
    details: Mapping[str, Any] = field(default_factory=dict)
    """What was found, for programs and tables, in types that `json.dumps` takes. Each measurement describes
    its own structure.
    """

    @property
    def applicable(self) -> bool:
        """Whether the measurement could be made on this image."""
        return self.strength is not None

    @property
    def notable(self) -> bool:
        """Whether a person should look at it."""
        return self.strength is not None and self.strength >= NOTABLE

    @property
    def record(self) -> EvidenceRecord:
        """The evidence without its map, rounded."""
        return EvidenceRecord(
            finding=self.finding,
            strength=None if self.strength is None else round(self.strength, 4),
            notable=self.notable,
            explanation=self.explanation,
            details=dict(self.details),
        )


@dataclass(frozen=True)
class EvidenceRecord:
    """Evidence without its map; its name is its key in `ReportRecord.evidence`."""

    finding: str
    strength: float | None
    notable: bool
    """As the strength was before rounding."""
    explanation: Explanation
    details: Mapping[str, Any]

    @property
    def applicable(self) -> bool:
        """Whether the measurement could be made on this image."""
        return self.strength is not None

    def to_json(self) -> dict[str, Any]:
        """Return the record in types that `json.dumps` takes."""
        return {
            "finding": self.finding,
            "strength": self.strength,
            "notable": self.notable,
            "applicable": self.applicable,
            "explanation": asdict(self.explanation),
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned."""
        return cls(
            finding=document["finding"],
            strength=document["strength"],
            notable=document["notable"],
            explanation=Explanation(**document["explanation"]),
            details=document.get("details", {}),
        )


_NETWORK_REASONS = {
    "network_map": "The network's map of manipulated areas",
    "network_score": "The network's judgement of the whole picture",
}


@dataclass(frozen=True)
class Reason:
    """How one measurement moved the score."""

    name: str
    """`network_map`, `network_score` or the name of evidence."""
    effect: float
    """Change of the score's log-odds relative to the average authentic image."""

    @property
    def text(self) -> str:
        """The reason in words."""
        what = _NETWORK_REASONS.get(
            self.name, f"The search for {self.name.replace('_', ' ').replace('jpeg', 'JPEG')}"
        )
        times = math.exp(abs(self.effect))
        if times < 1.05:
            return f"{what} hardly moved the score."
        # A few hundred calibration images cannot tell 300 times from 400.
        how = "more than 100" if times > 100 else f"{times:.0f}" if times >= 10 else f"{times:.1f}"
        if self.effect > 0:
            return f"{what} makes a manipulation {how} times more likely than it is on average."
        return f"{what} makes a manipulation {how} times less likely than it is on average."

    def to_json(self) -> dict[str, Any]:
        """Return the reason in types that `json.dumps` takes."""
        return {"name": self.name, "effect": self.effect, "text": self.text}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned; the text follows from the effect."""
        return cls(document["name"], document["effect"])


@dataclass(frozen=True)
class ImageFacts:
    """What is known about the file itself."""

    width: int
    height: int
    format: str
    byte_count: int
    sha256: str
    notes: tuple[str, ...]
    """What was done while reading the file: first page used, orientation applied..."""

    def to_json(self) -> dict[str, Any]:
        """Return the facts in types that `json.dumps` takes."""
        return {**asdict(self), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned."""
        return cls(**{**document, "notes": tuple(document["notes"])})


@dataclass(frozen=True)
class BundleIdentity:
    """Which bundle produced a report."""

    name: str
    version: str
    sha256: str
    """Digest of the bundle's manifest, which holds the digests of its files."""
    networks: str = ""
    """Digest of the networks' weights, which stays the same when the bundle is calibrated again. Empty in
    records of earlier versions."""


@dataclass(frozen=True)
class OperatingPoints:
    """The two scores that decide a verdict, and the error rates they were chosen by."""

    authentic_below: Probability
    """Score below which an image is called authentic."""
    manipulated_above: Probability
    """Score above which an image is called manipulated; never less than `authentic_below`."""
    false_alarm_rate: Probability
    """Share of the authentic images in the measurement that may exceed `manipulated_above`."""
    miss_rate: Probability
    """Share of the manipulated images in the measurement that may fall below `authentic_below`."""
    authentic_images: int
    manipulated_images: int
    marked_above: Probability = 0.0
    """Score from which regions are marked. Below it they are hints."""

    def __post_init__(self) -> None:
        if not 0 <= self.authentic_below <= self.manipulated_above <= 1:
            raise ValueError("operating points must satisfy 0 <= authentic_below <= manipulated_above <= 1")


@dataclass(frozen=True)
class ErrorRates:
    """How often the verdicts on files of one kind were wrong when the bundle was calibrated."""

    files: str
    """The kind of file, in words in the plural."""
    authentic_images: int
    false_alarms: int
    """How many of the authentic images were called manipulated."""
    manipulated_images: int
    misses: int
    """How many of the manipulated images were called authentic."""


@dataclass(frozen=True, eq=False)
class Report:
    """The whole result for one image.

    Example:
        >>> import numpy as np
        >>> from tamperscope import Detector
        >>> report = Detector.load(threads=1).analyze(np.full((64, 64, 3), 128, np.uint8))
        >>> 0 <= report.score <= 1, sum(report.type_scores.values()).__round__(6)
        (True, 1.0)
        >>> list(report.to_json())[:3]
        ['verdict', 'score', 'operating_points']
    """

    verdict: Verdict
    score: float
    """Calibrated probability, 0 to 1, that the image was manipulated at all."""
    type: ManipulationType
    """The most probable type, given that the image was manipulated."""
    type_scores: Mapping[ManipulationType, float]
    """Probability of each type, summing to 1, given that the image was manipulated."""
    regions: tuple[Region, ...]
    """Connected regions of the mask, largest first."""
    threshold: float
    """Heatmap value, 0 to 1, from which a pixel belongs to the mask. It comes from the bundle."""
    notes: tuple[str, ...]
    """What limits this analysis: the image was scaled, the bundle is not calibrated, mask and score differ...
    """
    image: ImageFacts
    bundle: BundleIdentity
    mask: NDArray[np.bool_]
    """(height, width) bool, True where the heatmap reaches the threshold, without regions that are too small
    and without hints.
    """
    heatmap: NDArray[np.float32]
    """float32, 0 to 1: manipulation probability of each pixel. Like every map it has the image's `map_shape`:
    (height, width), scaled down in images of more than 16 megapixels.
    """
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """The measurements that were made, by name."""
    reasons: tuple[Reason, ...] = ()
    """What moved the score, strongest first; empty without a calibration."""
    measurements: Mapping[str, float] = field(default_factory=dict)
    """What the score was computed from, by name, as `training.calibration.fit` takes it."""
    operating_points: OperatingPoints | None = None
    """What turned the score into the verdict; None if the bundle is not calibrated."""
    drawn: bool = False
    """Whether the image looks like something other than a photograph, such as a screenshot."""
    origin: Origin = UNKNOWN_ORIGIN
    """What the file proves and declares about where it comes from, and how that moved the verdict."""
    device: str = CPU
    """What ran the networks."""
    hints: tuple[Region, ...] = ()
    """Regions that the score of the whole picture does not support, largest first. They are not in the mask.
    """
    error_rates: ErrorRates | None = None
    """How often verdicts on files like this one were wrong; None if that was not measured."""

    @property
    def record(self) -> ReportRecord:
        """The report without its maps, rounded: what is stored, sent and printed."""
        return ReportRecord(
            verdict=self.verdict,
            score=round(self.score, 4),
            operating_points=self.operating_points,
            type=self.type,
            type_scores={kind: round(share, 4) for kind, share in self.type_scores.items()},
            threshold=self.threshold,
            regions=tuple(_rounded(region) for region in self.regions),
            reasons=tuple(replace(reason, effect=round(reason.effect, 4)) for reason in self.reasons),
            evidence={name: evidence.record for name, evidence in self.evidence.items()},
            notes=self.notes,
            image=self.image,
            bundle=self.bundle,
            versions={"tamperscope": __version__},
            drawn=self.drawn,
            origin=self.origin,
            device=self.device,
            hints=tuple(_rounded(region) for region in self.hints),
            error_rates=self.error_rates,
            measurements={name: round(value, 6) for name, value in self.measurements.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report without its maps, in types that `json.dumps` takes."""
        return self.record.to_json()


@dataclass(frozen=True)
class ReportRecord:
    """A report without its maps, as it is stored, sent and printed; fields as in `Report`, rounded."""

    verdict: Verdict
    score: float
    operating_points: OperatingPoints | None
    type: ManipulationType
    type_scores: Mapping[ManipulationType, float]
    threshold: float | None
    """None in records of versions that did not keep it."""
    regions: tuple[Region, ...]
    reasons: tuple[Reason, ...]
    evidence: Mapping[str, EvidenceRecord]
    notes: tuple[str, ...]
    image: ImageFacts
    bundle: BundleIdentity
    versions: Mapping[str, str]
    """Of the software that made the report, by its name."""
    origin: Origin
    drawn: bool = False
    device: str = CPU
    hints: tuple[Region, ...] = ()
    error_rates: ErrorRates | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    """Empty in records of earlier versions."""

    def to_json(self) -> dict[str, Any]:
        """Return the record in types that `json.dumps` takes."""
        return {
            "verdict": self.verdict.value,
            "score": self.score,
            "operating_points": None if self.operating_points is None else asdict(self.operating_points),
            "type": self.type.value,
            "type_scores": {kind.value: share for kind, share in self.type_scores.items()},
            "threshold": self.threshold,
            "regions": [region.to_json() for region in self.regions],
            "hints": [region.to_json() for region in self.hints],
            "error_rates": None if self.error_rates is None else asdict(self.error_rates),
            "reasons": [reason.to_json() for reason in self.reasons],
            "measurements": dict(self.measurements),
            "evidence": {name: evidence.to_json() for name, evidence in self.evidence.items()},
            "notes": list(self.notes),
            "image": self.image.to_json(),
            "bundle": asdict(self.bundle),
            "versions": dict(self.versions),
            "device": self.device,
            "drawn": self.drawn,
            "origin": self.origin.to_json(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned, in this version or an earlier one.

        Raises `KeyError`, `TypeError` or `ValueError` for anything else.
        """
        points, rates = document.get("operating_points"), document.get("error_rates")
        return cls(
            verdict=Verdict(document["verdict"]),
            score=document["score"],
            operating_points=OperatingPoints(**points) if points else None,
            type=ManipulationType(document["type"]),
            type_scores={ManipulationType(kind): share for kind, share in document["type_scores"].items()},
            threshold=document.get("threshold"),
            regions=tuple(Region.from_json(region) for region in document["regions"]),
            reasons=tuple(Reason.from_json(reason) for reason in document.get("reasons", ())),
            evidence={name: EvidenceRecord.from_json(found) for name, found in document["evidence"].items()},
            notes=tuple(document["notes"]),
            image=ImageFacts.from_json(document["image"]),
            bundle=BundleIdentity(**document["bundle"]),
            versions=document.get("versions", {"tamperscope": __version__}),
            drawn=document.get("drawn", False),
            origin=Origin.from_json(document.get("origin")),
            device=document.get("device", CPU),
            hints=tuple(Region.from_json(region) for region in document.get("hints", ())),
            error_rates=ErrorRates(**rates) if rates else None,
            measurements=document.get("measurements", {}),
        )


def _rounded(region: Region) -> Region:
    source = region.source
    return replace(
        region,
        area_share=round(region.area_share, 6),
        probability=round(region.probability, 4),
        source=source and replace(source, certainty=round(source.certainty, 4)),
    )


def _points(polygon: Any) -> tuple[tuple[int, int], ...]:
    return tuple((int(x), int(y)) for x, y in polygon)
