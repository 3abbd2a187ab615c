"""What the server answers, as types: the OpenAPI document is generated from them, the client returns them.

Keys may be added to an answer; those that are there keep their names and meanings.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from tamperscope.report import ManipulationType, Verdict


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

Probability = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]


class SegmentAnswer(Answer):
    """Where the image was manipulated. The pictures have the upright image's size."""

    mask: Png | None = None
    """8-bit grey: 255 where manipulated, 0 elsewhere. Left out when `include` does not name it."""
    overlay: Png | None = None
    """The image with the mask highlighted in green. Left out when `include` does not name it."""
    masked_image: Png | None = None
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


class BundleFacts(Answer):
    """Which bundle is behind every answer."""

    name: str
    version: str
    sha256: str
    """Digest of the bundle's manifest, which itself holds the digests of its files."""


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
    description: str
    endpoints: tuple[Endpoint, ...]
