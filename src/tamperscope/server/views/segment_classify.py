"""`POST /segment` and `POST /classify`: the two answers that existing front ends rely on.

Both take the form field `image`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flask import Blueprint, Request, Response, request
from numpy.typing import NDArray
from werkzeug.exceptions import BadRequest

from tamperscope.api import ClassifyAnswer, OriginAnswer, SegmentAnswer
from tamperscope.images import rendering
from tamperscope.origin import Origin
from tamperscope.report import all_notes
from tamperscope.server.detector_service import Analysis, DetectorService
from tamperscope.server.forms import ImageForm, client_disconnected, respond, uploaded_image
from tamperscope.server.middleware.origins import any_origin
from tamperscope.server.openapi import Parameter, operation

# Decimals of a probability, as in a report's JSON; the networks are no more precise than that.
_DIGITS = 4

_PICTURES: dict[str, Callable[[Analysis], NDArray[np.uint8]]] = {
    "mask": lambda analysis: rendering.mask_image(analysis.report.mask),
    "overlay": lambda analysis: rendering.overlay(analysis.image.pixels, analysis.report.mask),
    "masked_image": lambda analysis: rendering.masked_image(analysis.image.pixels, analysis.report.mask),
}
_INCLUDE = Parameter(
    "include",
    "The pictures to return; the default is all of them.",
    {"type": "array", "items": {"type": "string", "enum": list(_PICTURES)}, "minItems": 1},
)
_PROBLEMS = (400, 413, 415, 422, 503)


def blueprint(service: DetectorService) -> Blueprint:
    """Return the two endpoints that analyse with `service`."""
    contract = Blueprint("contract", __name__)

    @contract.post("/segment")
    @operation(
        {"application/json": SegmentAnswer, "image/png": None},
        problems=_PROBLEMS,
        form=ImageForm,
        parameters=(_INCLUDE,),
    )
    @any_origin
    def segment() -> Response:
        """Return the mask, the overlay and the masked image, or only the mask with `Accept: image/png`."""
        names = _included(request)
        with (
            service.analyze(uploaded_image(request), client_disconnected(request)) as analysis,
            service.metrics.stage("encode"),
        ):
            if _wants_png(request):
                return Response(_png("mask", analysis), content_type="image/png")
            report = analysis.report
            return respond(
                SegmentAnswer(
                    **{name: _png(name, analysis) for name in names},
                    width=report.image.width,
                    height=report.image.height,
                    manipulation_score=round(report.score, _DIGITS),
                    verdict=report.verdict,
                    notes=all_notes(report),
                    origin=_origin(report.origin),
                )
            )

    @contract.post("/classify")
    @operation(ClassifyAnswer, problems=_PROBLEMS, form=ImageForm)
    @any_origin
    def classify() -> Response:
        """Return the type of manipulation and its probability."""
        with service.analyze(uploaded_image(request), client_disconnected(request)) as analysis:
            report = analysis.report
        return respond(
            ClassifyAnswer(
                class_id=report.type.id,
                class_name=report.type,
                confidence=round(report.type_scores[report.type], _DIGITS),
                scores={kind: round(share, _DIGITS) for kind, share in report.type_scores.items()},
                manipulation_score=round(report.score, _DIGITS),
                verdict=report.verdict,
                notes=all_notes(report),
                origin=_origin(report.origin),
            )
        )

    return contract


def _origin(origin: Origin) -> OriginAnswer:
    return OriginAnswer.model_validate(origin.to_json())


def _included(request: Request) -> set[str]:
    given = request.args.get("include")
    if given is None:
        return set(_PICTURES)
    names = set(given.split(","))
    if not names <= set(_PICTURES):
        raise BadRequest(f"`include` must be a comma-separated list of {', '.join(_PICTURES)}.")
    return names


def _wants_png(request: Request) -> bool:
    return request.accept_mimetypes.best_match(["application/json", "image/png"]) == "image/png"


def _png(name: str, analysis: Analysis) -> bytes:
    return rendering.encode_png(_PICTURES[name](analysis))
