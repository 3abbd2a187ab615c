"""What the server answers, as types: the OpenAPI document is generated from them, the client returns them.

Keys may be added to an answer; those that are there keep their names and meanings.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from tamperscope.jobs.model import JobState, WebhookState
from tamperscope.report import ManipulationType, OperatingPoints, Probability, Verdict


class Answer(BaseModel):
    """The body of a response."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


def _from_base64(value: Any) -> Any:
    return b64decode(value, validate=True) if isinstance(value, str) else value


Png = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda png: b64encode(png).decode("ascii"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}),
]
"""A PNG file: bytes in Python, base64 in JSON."""

Polygon = tuple[tuple[int, int], ...]
"""Outer contour as (x, y) in pixels of the upright image."""


PngIfAsked = Annotated[Png | None, Field(exclude_if=lambda png: png is None)]
"""Left out where there is none."""


class SegmentAnswer(Answer):
    """Where the image was manipulated. The pictures have the upright image's size."""

    mask: PngIfAsked = None
    """8-bit grey: 255 where manipulated, 0 elsewhere. Left out when `include` does not name it."""
    overlay: PngIfAsked = None
    """The image with the mask highlighted in green. Left out when `include` does not name it."""
    masked_image: PngIfAsked = None
    """The image inside the mask, black outside. Left out when `include` does not name it."""
    width: int
    height: int
    manipulation_score: Probability
    """Calibrated probability that the image was manipulated at all."""
    verdict: Verdict
    notes: tuple[str, ...]
    """What limits this answer, in plain words."""


class ClassifyAnswer(Answer):
    """How the image was manipulated, if it was: `verdict` says that, the class does not."""

    class_id: int
    class_name: ManipulationType
    confidence: Probability
    """Probability of the named class, given that the image was manipulated."""
    scores: dict[ManipulationType, Probability]
    """The same for every class; they sum to 1."""
    manipulation_score: Probability
    """Calibrated probability that the image was manipulated at all."""
    verdict: Verdict
    notes: tuple[str, ...]
    """What limits this answer, in plain words."""


class BundleFacts(Answer):
    """Which bundle is behind every answer."""

    name: str
    version: str
    sha256: str
    """Digest of the bundle's manifest, which itself holds the digests of its files."""


class BoxAnswer(Answer):
    """An axis-aligned box in pixels of the upright image; `x`, `y` is its top left corner."""

    x: int
    y: int
    width: int
    height: int


class SourceAnswer(Answer):
    """The area that a copy was taken from."""

    polygon: Polygon
    certainty: Probability
    """Probability that the region is the copy and this the source, and not the other way round."""
    decided: bool
    """Whether that is certain enough for only one of the two to be marked."""


class RegionAnswer(Answer):
    """One connected manipulated area of the mask."""

    box: BoxAnswer
    polygon: Polygon
    area_share: Probability
    """Share of the image's pixels."""
    probability: Probability
    """Mean manipulation probability inside the region."""
    type: ManipulationType | None
    """How this area was probably manipulated."""
    source: SourceAnswer | None
    """Of one of two areas that repeat one another: the other one."""
    place: str
    """In which ninth of the image its middle lies, such as `upper left`."""


class ExplanationAnswer(Answer):
    """What to know about a measurement before concluding anything."""

    what_you_see: str
    what_it_can_mean: str
    what_it_cannot: str


class FactAnswer(Answer):
    """One line of a table."""

    label: str
    value: str


class EvidenceAnswer(Answer):
    """One independent forensic measurement."""

    title: str
    rating: str | None
    """The strength in words, such as `unusual`; null where the measurement does not apply."""
    finding: str
    """What was found in this image; the reason, where the measurement does not apply."""
    strength: Probability | None
    """How unusual the image is to this measurement; null where it does not apply."""
    notable: bool
    """Whether a person should look at it; at most three of a hundred authentic photos are notable."""
    applicable: bool
    explanation: ExplanationAnswer
    details: dict[str, Any]
    """What else this kind of measurement found."""
    facts: tuple[FactAnswer, ...]
    """The details as a table to read, in which nothing of foreign origin acts unseen."""
    map: str | None
    """Address of the map, null where the measurement says nothing about places."""


class ImageAnswer(Answer):
    """What is known about the file itself."""

    width: int
    """Of the upright image."""
    height: int
    format: str
    byte_count: int
    sha256: str
    notes: tuple[str, ...]
    kept: bool
    """Whether the server keeps the image."""


class LinksAnswer(Answer):
    """Addresses of what belongs to an analysis."""

    self: str
    mask: str
    """8-bit grey, as large as the upright image: 255 where manipulated."""
    heatmap: str
    overlay: str | None
    """The image with the mask highlighted in green; null where the image was not kept."""
    image: str | None
    """The upright image; null where it was not kept."""
    report_json: str
    report_html: str
    """A page to read and hand on, with nothing beside itself."""
    report_pdf: str


class ReasonAnswer(Answer):
    """How one measurement moved the score."""

    name: str
    """`network_map` or the name of evidence."""
    effect: float
    """Change of the score's log-odds, compared with the average authentic image."""
    text: str


@dataclass(frozen=True)
class OperatingPointsAnswer(OperatingPoints):
    """Between which scores nothing is concluded, and how often the model was wrong outside of them."""


class TypeWordsAnswer(Answer):
    """A manipulation type for a reader."""

    name: str
    meaning: str


class WordsAnswer(Answer):
    """What to tell a reader, as it stands in the HTML and PDF reports."""

    headline: str
    """The verdict."""
    meaning: str
    """What the verdict rests on, and how often it is wrong."""
    types: dict[ManipulationType, TypeWordsAnswer]
    types_caveat: str
    strengths: str
    """What the strengths of the evidence mean."""
    limits: tuple[str, ...]
    """What to know before acting on the verdict."""


class AnalysisAnswer(Answer):
    """Everything that was found out about one image."""

    id: str
    created: datetime
    words: WordsAnswer
    verdict: Verdict
    score: Probability
    """Calibrated probability that the image was manipulated at all."""
    operating_points: OperatingPointsAnswer | None
    """What turned the score into the verdict; null where the bundle is not calibrated."""
    reasons: tuple[ReasonAnswer, ...]
    """What moved the score, strongest first."""
    type: ManipulationType
    """The most probable type, given that the image was manipulated."""
    type_scores: dict[ManipulationType, Probability]
    """Probability of each type, summing to 1, given that the image was manipulated."""
    threshold: Probability
    """Heatmap value from which a pixel belongs to the mask."""
    regions: tuple[RegionAnswer, ...]
    """Connected areas of the mask, largest first."""
    notes: tuple[str, ...]
    """What limits this analysis, in plain words."""
    image: ImageAnswer
    bundle: BundleFacts
    versions: dict[str, str]
    """Of the software that made the analysis."""
    evidence: dict[str, EvidenceAnswer]
    """The measurements by their names, in the order of a report."""
    links: LinksAnswer


class SummaryLinksAnswer(Answer):
    """Where the rest of an analysis is."""

    self: str


class SummaryAnswer(Answer):
    """One line of the history."""

    id: str
    created: datetime
    verdict: Verdict
    headline: str
    """The verdict in words."""
    score: Probability
    type: ManipulationType
    image: ImageAnswer
    links: SummaryLinksAnswer


class HistoryAnswer(Answer):
    """Analyses, newest first."""

    analyses: tuple[SummaryAnswer, ...]
    next: str | None
    """Address of the next page, null on the last one."""


class JobImagesAnswer(Answer):
    """How many images a job has, and how many of them are through."""

    total: int
    done: int
    failed: int


class WebhookAnswer(Answer):
    """How the message about a job's end fares."""

    url: str
    state: WebhookState
    attempts: int
    error: str | None
    """Why the last attempt failed."""


class JobLinksAnswer(Answer):
    """Addresses of what belongs to a job."""

    self: str
    results: str
    cancel: str | None
    """Null once the job has ended."""


class JobAnswer(Answer):
    """Many images that are analysed one after the other."""

    id: str
    created: datetime
    finished: datetime | None
    state: JobState
    """`completed` as well when images failed: each says why."""
    keep: bool
    """Whether the images are kept with their analyses."""
    images: JobImagesAnswer
    webhook: WebhookAnswer | None
    links: JobLinksAnswer


class JobsAnswer(Answer):
    """Jobs, newest first."""

    jobs: tuple[JobAnswer, ...]
    next: str | None
    """Address of the next page, null on the last one."""


class ImageProblem(Answer):
    """Why an image has no analysis."""

    type: str
    """What went wrong, as a URI that stays the same."""
    detail: str
    """One or two sentences that say what to do about it."""


class ImageResultAnswer(Answer):
    """What became of one image of a job."""

    number: int
    """Its place among the job's images, from 0."""
    name: str
    """The file's name as it was sent, without what could do harm."""
    analysis: SummaryAnswer | None
    """Null where there is a problem, and where the analysis was deleted since."""
    problem: ImageProblem | None


class ImageResultsAnswer(Answer):
    """Results of a job, in the order in which they came."""

    results: tuple[ImageResultAnswer, ...]
    next: str | None
    """Address of what comes after these, now or later; null when these are the last ones."""


class Problem(Answer):
    """What a client learns about a request that failed (RFC 9457)."""

    type: str
    """What went wrong, as a URI that stays the same."""
    title: str
    status: int
    detail: str
    """One or two sentences that say what to do about it."""
    error: str
    """The same as `detail`: the front ends of the original project read this key."""


class Alive(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Answer):
    """The networks are loaded and warm."""

    status: Literal["ready"] = "ready"
    bundle: BundleFacts


class Endpoint(Answer):
    """One line of the list of endpoints."""

    method: str
    path: str
    does: str


class Index(Answer):
    """What this server is and what it answers."""

    name: str
    version: str
    description: str
    keys: bool
    """Whether it asks for a key."""
    max_bytes: int
    """Of an image file."""
    max_pixels: int
    retention_days: int | None
    """How long it keeps an analysis; null for ever."""
    endpoints: tuple[Endpoint, ...]
