"""What people add to stored analyses: title, case, notes and tags."""

from __future__ import annotations

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from tamperscope.api import Case, CaseBody
from tamperscope.case import LARGEST_JSON, LONGEST_TAG, CaseDetails
from tamperscope.server.forms import ANALYSIS_ID, json_body, or_404, respond
from tamperscope.server.middleware.access import owner
from tamperscope.server.openapi import operation
from tamperscope.store import AnalysisStore


def blueprint(store: AnalysisStore) -> Blueprint:
    """Return the endpoints that describe the analyses in `store`."""
    views = Blueprint("cases", __name__)

    @views.put("/v1/analyses/<id>/case")
    @operation(Case, body=CaseBody, problems=(400, 404, 413, 415, 503, 507), parameters=(ANALYSIS_ID,))
    def put_case(id: str) -> Response:
        """Replace title, case number, analyst, notes and tags of a stored analysis."""
        case = json_body(request, CaseBody, LARGEST_JSON)
        # Not in `Case`, which answers contain too: what is stored already must stay readable.
        for place, tag in enumerate(case.tags):
            if len(tag.casefold()) > LONGEST_TAG:
                raise BadRequest(
                    f"tags.{place}: String should have at most {LONGEST_TAG} characters without upper case, "
                    "where ß counts as ss."
                )
        or_404(
            store.describe(id, CaseDetails.from_json(case.model_dump()), owner=owner()) or None, "analysis"
        )
        return respond(case)

    return views
