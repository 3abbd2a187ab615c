"""The types of the server's answers. The OpenAPI document is generated from them; the client returns them.

New keys may be added to an answer. Existing keys keep their names and meanings.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from tamperscope.case import (
    LONGEST_LABEL,
    LONGEST_LINE,
    LONGEST_NOTES,
    LONGEST_REGION_NOTE,
    LONGEST_TAG,
    MOST_REGION_NOTES,
    MOST_TAGS,
)
from tamperscope.feedback import Truth
from tamperscope.jobs.model import JobState, WebhookState
from tamperscope.origin import Basis, OriginKind
from tamperscope.report import CPU, ErrorRates, ManipulationType, OperatingPoints, Probability, Verdict

_LARGEST_SIDE = 2**20


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
"""Outer contour as (x, y) points, in pixels of the upright image."""


class ClaimAnswer(Answer):
    """One thing that a part of the file says about its origin."""

    kind: OriginKind
    basis: Basis
    """`proven` by a valid signature, `signed` (declared under one) or `declared` (anyone can write it)."""
    source: str
    """The part of the file, such as `Content Credentials` or `XMP DigitalSourceType`."""
    text: str
    belief: str
    """How far to believe it."""
    program: str
    """The program, device or signer that it names; empty if it names none."""
    strength: Probability
    """How unusual such a claim is on an authentic photo."""


class RuleAnswer(Answer):
    """The rule by which the origin decides or limits the verdict."""

    name: str
    text: str


class OriginAnswer(Answer):
    """What the file proves and declares about where it comes from."""

    kind: OriginKind
    """The most telling kind of claim; `unknown` if there is none."""
    headline: str
    claims: tuple[ClaimAnswer, ...]
    """The most telling first."""
    rule: RuleAnswer | None
    """Null if no rule applies, and the score alone gives the verdict."""


PngIfAsked = Annotated[Png | None, Field(exclude_if=lambda png: png is None)]
"""Omitted from the answer when None."""


Line = Annotated[str, Field(max_length=LONGEST_LINE)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TAG)]
RegionNotes = Annotated[
    dict[
        Annotated[str, Field(max_length=LONGEST_LABEL)],
        Annotated[str, Field(max_length=LONGEST_REGION_NOTE)],
    ],
    Field(max_length=MOST_REGION_NOTES),
]


class Case(Answer):
    """What a person adds to an analysis. Reports print it, and searches find it."""

    title: Line = ""
    number: Line = ""
    """The case's number or name."""
    analyst: Line = ""
    notes: Annotated[str, Field(max_length=LONGEST_NOTES)] = ""
    tags: Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS)] = ()
    region_notes: RegionNotes = {}
    """Notes by the label of the region, such as `1a`."""


class CaseBody(Case):
    """What a request stores as the case, in place of all that was stored before."""

    # A misspelt name would delete what its field holds.
    model_config = ConfigDict(extra="forbid")


class FeedbackBox(Answer):
    """A box in pixels of the upright image; `x`, `y` is its top left corner."""

    x: Annotated[int, Field(ge=0, le=_LARGEST_SIDE)]
    y: Annotated[int, Field(ge=0, le=_LARGEST_SIDE)]
    width: Annotated[int, Field(ge=1, le=_LARGEST_SIDE)]
    height: Annotated[int, Field(ge=1, le=_LARGEST_SIDE)]


class Feedback(Answer):
    """What someone who knows the truth says of an image."""

    truth: Truth
    type: ManipulationType | None = None
    """How it was manipulated; null if it was not, or if that is not known."""
    region: FeedbackBox | None = None
    """Where; null if it was not manipulated, or if that is not known."""


class FeedbackBody(Feedback):
    """What a request stores as the correction, in place of an earlier one."""

    model_config = ConfigDict(extra="forbid")


class SegmentAnswer(Answer):
    """Where the image was manipulated. The pictures have the size of the upright image."""

    mask: PngIfAsked = None
    """8-bit grey: 255 where manipulated, 0 elsewhere. Omitted if `include` does not name it."""
    overlay: PngIfAsked = None
    """The image with the mask highlighted in green. Omitted if `include` does not name it."""
    masked_image: PngIfAsked = None
    """The image inside the mask, black outside. Omitted if `include` does not name it."""
    width: int
    height: int
    manipulation_score: Probability
    """Calibrated probability that the image was manipulated."""
    verdict: Verdict
    notes: tuple[str, ...]
    """The limits of this answer, in plain words."""
    origin: OriginAnswer
    """What the file says about where it comes from, and the rule by which that moved the verdict."""


class ClassifyAnswer(Answer):
    """How the image was manipulated, if it was. `verdict` tells whether it was; the class does not."""

    class_id: int
    class_name: ManipulationType
    confidence: Probability
    """Probability of the named class, given that the image was manipulated."""
    scores: dict[ManipulationType, Probability]
    """That probability for every class; they sum to 1."""
    manipulation_score: Probability
    """Calibrated probability that the image was manipulated."""
    verdict: Verdict
    notes: tuple[str, ...]
    """The limits of this answer, in plain words."""
    origin: OriginAnswer
    """What the file says about where it comes from, and the rule by which that moved the verdict."""


class DifferenceAnswer(Answer):
    """A region in which two versions of a picture differ, in pixels of the first."""

    label: str
    polygon: Polygon
    area_share: Probability
    """Share of the first picture."""
    place: str
    """The ninth of the first picture that contains its centre."""


class SizeAnswer(Answer):
    """The size of an upright picture in pixels."""

    width: int
    height: int


class CompareAnswer(Answer):
    """Two versions of a picture, laid over each other."""

    aligned: bool
    """Whether both show the same scene, as far as could be found."""
    matrix: tuple[tuple[float, float, float], tuple[float, float, float]] | None
    """Takes a pixel (x, y, 1) of the second upright picture to one of the first; null unless aligned."""
    other: SizeAnswer
    """Of the second picture."""
    shared: Probability
    """Share of the first picture that the second covers."""
    differences: tuple[DifferenceAnswer, ...]
    """The largest first."""
    finding: str
    """What was found, in words."""


class BundleFacts(Answer):
    """The bundle that produces the answers."""

    name: str
    version: str
    sha256: str
    """Digest of the bundle's manifest, which contains the digests of the bundle's files."""
    networks: str = ""
    """Digest of the networks' weights, which stays the same when the bundle is calibrated again."""


class BoxAnswer(Answer):
    """An axis-aligned box in pixels of the upright image; `x`, `y` is its top left corner."""

    x: int
    y: int
    width: int
    height: int


class SourceAnswer(Answer):
    """The region that a copy was taken from."""

    polygon: Polygon
    certainty: Probability
    """Probability that the region is the copy and this is its source, not the other way round."""
    decided: bool
    """Whether `certainty` is high enough that only the copy is marked."""
    label: str
    """Its label in pictures and texts, such as `1b`."""


class RegionAnswer(Answer):
    """One connected manipulated region of the mask."""

    box: BoxAnswer
    polygon: Polygon
    area_share: Probability
    """Share of the image's pixels."""
    probability: Probability
    """Mean manipulation probability inside the region."""
    type: ManipulationType | None
    """How this region was probably manipulated."""
    source: SourceAnswer | None
    """The other region, if this is one of two regions with the same content; else null."""
    place: str
    """The ninth of the image that contains its centre, such as `upper left`."""
    label: str
    """Its label in pictures and texts: `1`, or `1a` for one of two regions that repeat each other. Empty for
    a minor region."""
    minor: bool
    """Whether it is weak or tiny, and so probably a false alarm."""
    agreement: dict[str, bool]
    """Whether each measurement that looks for regions singles out this one; `network_map` is the networks'
    own map."""
    finding: str
    """What speaks for this region and what does not."""


class ExplanationAnswer(Answer):
    """What to know about a measurement before drawing conclusions."""

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
    """The strength in words, such as `unusual`; null if the measurement does not apply."""
    finding: str
    """What was found in this image, or why the measurement does not apply."""
    strength: Probability | None
    """How unusual the image is by this measurement; null if the measurement does not apply."""
    notable: bool
    """Whether a person should look at it; true for at most 3 % of authentic photos."""
    applicable: bool
    explanation: ExplanationAnswer
    details: dict[str, Any]
    """Further results, specific to this measurement."""
    facts: tuple[FactAnswer, ...]
    """The details as a table for display; control and invisible characters are spelled out."""
    map: str | None
    """Address of the map; null if the measurement does not locate anything."""


class ImageAnswer(Answer):
    """Facts about the image file."""

    width: int
    """Of the upright image, in pixels."""
    height: int
    format: str
    byte_count: int
    sha256: str
    notes: tuple[str, ...]
    kept: bool
    """Whether the server keeps the image."""


class LocationAnswer(Answer):
    """Where the file states that the picture was taken."""

    latitude: float
    """In degrees, north positive."""
    longitude: float
    """In degrees, east positive."""
    map: str
    """Address of a map of that place, to open in a browser. The server never requests it."""


class LinksAnswer(Answer):
    """Addresses of the parts of an analysis."""

    self: str
    mask: str
    """8-bit grey, at the size of the upright image: 255 where manipulated, 0 elsewhere."""
    heatmap: str
    overlay: str | None
    """The image with the mask highlighted in green; null if the image was not kept."""
    image: str | None
    """The upright image; null if it was not kept."""
    thumbnail: str | None
    """The middle square of the image as a small JPEG; null if the image was not kept."""
    case: str
    """Where to put what a person adds."""
    feedback: str
    """Where to put what someone who knows the truth says."""
    report_json: str
    report_html: str
    """A self-contained page to read and share."""
    report_pdf: str


class ReasonAnswer(Answer):
    """How one measurement moved the score."""

    name: str
    """`network_map`, `network_score` or the name of a measurement."""
    effect: float
    """Change in the score's log-odds, relative to the average authentic image."""
    text: str


@dataclass(frozen=True)
class OperatingPointsAnswer(OperatingPoints):
    """The scores between which the verdict is inconclusive, and the error rates outside them."""


class ErrorRatesAnswer(ErrorRates):
    """How often the verdicts on files of one kind were wrong when the bundle was calibrated."""


class TypeWordsAnswer(Answer):
    """A manipulation type, described for a reader."""

    name: str
    meaning: str


class SearchAnswer(Answer):
    """A search by image that a reader can open."""

    name: str
    address: str


class StepAnswer(Answer):
    """Something to do next."""

    text: str
    message: str
    """Text to copy and send; empty if there is none."""
    links: tuple[SearchAnswer, ...]


class WordsAnswer(Answer):
    """Text for a reader, the same as in the HTML and PDF reports."""

    headline: str
    """The verdict, or the origin where the file declares a telling one."""
    finding: str
    """What was found."""
    next_steps: tuple[StepAnswer, ...]
    """What to do next, most useful first."""
    meaning: str
    """What the verdict is based on, and how often it is wrong."""
    error_rates: str
    """How often verdicts on files like this one were wrong; empty if that was not measured."""
    types: dict[ManipulationType, TypeWordsAnswer]
    types_caveat: str
    strengths: str
    """What the strengths of the evidence mean."""
    minor_regions: str
    """How many regions are minor; empty if none is."""
    limits: tuple[str, ...]
    """What to know before acting on the verdict."""


class AnalysisAnswer(Answer):
    """The full report on one image."""

    id: str
    created: datetime
    case: Case
    private: bool
    """Whether no list contains it, and it is deleted after a day."""
    words: WordsAnswer
    verdict: Verdict
    score: Probability
    """Calibrated probability that the image was manipulated."""
    operating_points: OperatingPointsAnswer | None
    """The thresholds that turn the score into the verdict; null if the bundle is not calibrated."""
    reasons: tuple[ReasonAnswer, ...]
    """What moved the score, strongest first."""
    measurements: dict[str, float]
    """What the score was computed from, by name; empty in analyses of earlier versions."""
    type: ManipulationType
    """The most probable type, given that the image was manipulated."""
    type_scores: dict[ManipulationType, Probability]
    """Probability of each type, summing to 1, given that the image was manipulated."""
    threshold: Probability
    """Heatmap value at and above which a pixel belongs to the mask."""
    regions: tuple[RegionAnswer, ...]
    """Connected regions of the mask, largest first."""
    hints: tuple[RegionAnswer, ...]
    """Regions that the score of the whole picture does not support, largest first. They are minor, and not in
    the mask."""
    error_rates: ErrorRatesAnswer | None
    """How often verdicts on files like this one were wrong; null if that was not measured."""
    drawn: bool
    """Whether the image looks like something other than a photograph, such as a screenshot."""
    notes: tuple[str, ...]
    """The limits of this analysis, in plain words."""
    image: ImageAnswer
    bundle: BundleFacts
    versions: dict[str, str]
    """Versions of the software that made the analysis."""
    device: str = CPU
    """What ran the networks: `cpu`, or an accelerator and its library."""
    evidence: dict[str, EvidenceAnswer]
    """The measurements by name, in the order of a report."""
    origin: OriginAnswer
    """What the file says about where it comes from, and the rule by which that moved the verdict."""
    feedback: Feedback | None
    """What someone who knows the truth says; null if no one did."""
    location: Annotated[LocationAnswer | None, Field(exclude_if=lambda location: location is None)] = None
    """Where the picture was taken, as the file states. Only with `location=true`, and never stored: a stored
    analysis answers it only if its image was kept.
    """
    links: LinksAnswer
    signature: Annotated[str | None, Field(exclude_if=lambda signature: signature is None)] = None
    """Only in `report.json` of a server that signs reports: a JSON Web Signature (RFC 7515, RFC 7797) over
    the file without this member. `tamperscope verify` checks it.
    """


class SummaryLinksAnswer(Answer):
    """Addresses of the full analysis and of its thumbnail."""

    self: str
    thumbnail: str | None
    """Null if the image was not kept."""


class SummaryOriginAnswer(Answer):
    """What the file says about where it comes from, in one line."""

    kind: OriginKind
    headline: str


class SummaryAnswer(Answer):
    """One line of the history."""

    id: str
    created: datetime
    verdict: Verdict
    headline: str
    """The verdict in words, or the declared origin."""
    score: Probability
    type: ManipulationType
    type_name: str
    """The type in words."""
    image: ImageAnswer
    origin: SummaryOriginAnswer
    title: str
    """What a person called it; empty if no one did."""
    case_number: str
    tags: tuple[str, ...]
    links: SummaryLinksAnswer


class HistoryAnswer(Answer):
    """Analyses, newest first."""

    analyses: tuple[SummaryAnswer, ...]
    next: str | None
    """Address of the next page; null on the last page."""


class JobImagesAnswer(Answer):
    """How many images a job has, and how many are finished."""

    total: int
    done: int
    failed: int


class WebhookAnswer(Answer):
    """The delivery of the message that a job has ended."""

    url: str
    state: WebhookState
    attempts: int
    error: str | None
    """Why the last attempt failed."""


class JobLinksAnswer(Answer):
    """Addresses of the parts of a job."""

    self: str
    results: str
    cancel: str | None
    """Null once the job has ended."""


class JobAnswer(Answer):
    """Many images that were submitted at once."""

    id: str
    created: datetime
    finished: datetime | None
    state: JobState
    """Also `completed` when images failed; the results state why."""
    keep: bool
    """Whether the images are kept with their analyses."""
    images: JobImagesAnswer
    webhook: WebhookAnswer | None
    links: JobLinksAnswer


class JobsAnswer(Answer):
    """Jobs, newest first."""

    jobs: tuple[JobAnswer, ...]
    next: str | None
    """Address of the next page; null on the last page."""


class ImageProblem(Answer):
    """Why an image has no analysis."""

    type: str
    """The kind of problem, as a stable URI."""
    detail: str
    """One or two sentences: what is wrong and what to do about it."""


class ImageResultAnswer(Answer):
    """The result of one image of a job."""

    number: int
    """Its position among the job's images, from 0."""
    name: str
    """The name of the file as it was sent, without unsafe characters and parts."""
    analysis: SummaryAnswer | None
    """Null if there is a problem, or if the analysis has been deleted since."""
    problem: ImageProblem | None


class ImageResultsAnswer(Answer):
    """Results of a job, in the order in which they were finished."""

    results: tuple[ImageResultAnswer, ...]
    next: str | None
    """Address of the results after these, present or future; null when these are the last."""


class Problem(Answer):
    """The problem details of a request that failed (RFC 9457)."""

    type: str
    """The kind of problem, as a stable URI."""
    title: str
    status: int
    detail: str
    """One or two sentences: what is wrong and what to do about it."""
    error: str
    """The same as `detail`: the front ends of the original project read this key."""


class Alive(Answer):
    """The process is running."""

    status: Literal["ok"] = "ok"


class Ready(Answer):
    """The networks are loaded and warm."""

    status: Literal["ready"] = "ready"
    bundle: BundleFacts
    device: str = CPU
    """What runs the networks: `cpu`, or an accelerator and its library."""


class Endpoint(Answer):
    """One line of the list of endpoints."""

    method: str
    path: str
    does: str


class UsageAnswer(Answer):
    """What the caller's stored analyses take."""

    analyses: int
    bytes: int
    """With their pictures and cases."""
    max_bytes: int | None
    """Most bytes allowed; beyond that an analysis is refused with 507. Null means no limit."""


class SigningKeyAnswer(Answer):
    """An Ed25519 public key as a JSON Web Key (RFC 7517, RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    """The key, in base64url."""
    kid: str
    """The key's thumbprint (RFC 7638), which a signature names."""
    use: Literal["sig"]
    alg: Literal["EdDSA"]
    name: str
    """What the operator calls it."""


class SigningKeysAnswer(Answer):
    """The keys that sign this server's reports, as a JSON Web Key Set. Empty if it signs none."""

    keys: tuple[SigningKeyAnswer, ...]


class Index(Answer):
    """The server's version, limits and endpoints."""

    name: str
    version: str
    description: str
    keys: bool
    """Whether the server requires an API key."""
    max_bytes: int
    """Largest image file that the server accepts, in bytes."""
    max_pixels: int
    max_job_images: int
    """Most images in one job."""
    max_job_bytes: int
    """Most bytes of one job's images together."""
    retention_days: int | None
    """Days for which the server keeps an analysis; null means forever."""
    max_stored_bytes: int | None
    """Most bytes that the analyses of one key may take together; null means no limit."""
    signs_reports: bool
    """Whether reports are signed; `/v1/keys/signing` answers the key."""
    endpoints: tuple[Endpoint, ...]
