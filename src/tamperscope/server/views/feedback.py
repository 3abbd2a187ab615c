"""What people who know the truth say of analyses, for the next calibration."""

from __future__ import annotations

import json

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from tamperscope.api import Feedback, FeedbackBody
from tamperscope.feedback import Correction, Truth
from tamperscope.server.forms import ANALYSIS_ID, json_body, or_404, respond
from tamperscope.server.middleware.access import owner
from tamperscope.server.openapi import operation
from tamperscope.store import AnalysisStore

_PATH = "/v1/analyses/<id>/feedback"


def blueprint(store: AnalysisStore) -> Blueprint:
    """Return the endpoints that correct the analyses in `store`."""
    views = Blueprint("feedback", __name__)

    @views.put(_PATH)
    @operation(Feedback, body=FeedbackBody, problems=(400, 404, 413, 415, 503), parameters=(ANALYSIS_ID,))
    def put_feedback(id: str) -> Response:
        """Say what the image of a stored analysis really is; the next calibration can use it."""
        feedback = json_body(request, FeedbackBody)
        if feedback.truth is Truth.AUTHENTIC and (feedback.type or feedback.region):
            raise BadRequest("An authentic image has no `type` and no `region` of a manipulation.")
        correction = Correction.from_json(feedback.model_dump())
        or_404(store.correct(id, correction, owner=owner()) or None, "analysis")
        return respond(feedback)

    @views.delete(_PATH)
    @operation({}, statuses=(204,), problems=(404, 503), parameters=(ANALYSIS_ID,))
    def delete_feedback(id: str) -> Response:
        """Take back what was said about a stored analysis."""
        or_404(store.correct(id, None, owner=owner()) or None, "analysis")
        return Response(status=204)

    @views.get("/v1/feedback")
    @operation({"application/jsonl": None}, problems=(503,))
    def list_feedback() -> Response:
        """Return all corrections as lines of JSON, which `tamperscope calibrate --feedback` reads."""
        lines = [json.dumps(corrected.to_json()) + "\n" for corrected in store.corrections(owner=owner())]
        return Response("".join(lines), content_type="application/jsonl")

    return views
