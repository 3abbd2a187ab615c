"""`POST /segment` and `POST /classify`: the two answers that existing front ends rely on.

Both take the form field `image`. Keys may be added to the answers; those that are there keep their names
and meanings.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from flask import Blueprint, Response, jsonify, request
from numpy.typing import NDArray

from tamperscope import rendering
from tamperscope.report import Verdict
from tamperscope.server.analysis import AnalysisService
from tamperscope.server.uploads import uploaded_image

# Of probabilities, as in a report's JSON; the networks are not more precise than that.
_DIGITS = 4


@dataclass(frozen=True)
class SegmentAnswer:
    """Where the image was manipulated; the three pictures are base64 PNG of the upright image's size."""

    mask: str
    """8-bit grey: 255 where manipulated, 0 elsewhere."""
    overlay: str
    """The image with the mask highlighted in green."""
    masked_image: str
    """The image inside the mask, black outside."""
    width: int
    height: int
    manipulation_score: float
    verdict: Verdict
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ClassifyAnswer:
    """How the image was manipulated, if it was: `verdict` says that, the class does not."""

    class_id: int
    class_name: str
    confidence: float
    """Probability of the named class, given that the image was manipulated."""
    scores: Mapping[str, float]
    """The same for every class; they sum to 1."""
    manipulation_score: float
    """Calibrated probability that the image was manipulated at all."""
    verdict: Verdict
    notes: tuple[str, ...]


def blueprint(service: AnalysisService) -> Blueprint:
    """Return the two endpoints over a service."""
    contract = Blueprint("contract", __name__)

    @contract.post("/segment")
    def segment() -> Response:
        """Return the mask, the overlay and the masked image."""
        with service.analyze(uploaded_image(request)) as analysis:
            image, report = analysis.image, analysis.report
            answer = SegmentAnswer(
                mask=_base64_png(rendering.mask_image(report.mask)),
                overlay=_base64_png(rendering.overlay(image.pixels, report.mask)),
                masked_image=_base64_png(rendering.masked_image(image.pixels, report.mask)),
                width=report.image.width,
                height=report.image.height,
                manipulation_score=round(report.score, _DIGITS),
                verdict=report.verdict,
                notes=report.notes,
            )
        return jsonify(answer)

    @contract.post("/classify")
    def classify() -> Response:
        """Return the type of manipulation and how sure that is."""
        with service.analyze(uploaded_image(request)) as analysis:
            report = analysis.report
        return jsonify(
            ClassifyAnswer(
                class_id=report.type.id,
                class_name=report.type.value,
                confidence=round(report.type_scores[report.type], _DIGITS),
                scores={kind.value: round(share, _DIGITS) for kind, share in report.type_scores.items()},
                manipulation_score=round(report.score, _DIGITS),
                verdict=report.verdict,
                notes=report.notes,
            )
        )

    return contract


def _base64_png(picture: NDArray[np.uint8]) -> str:
    return b64encode(rendering.encode_png(picture)).decode("ascii")
