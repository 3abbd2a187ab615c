"""An answer as an HTTP response."""

from __future__ import annotations

from flask import Response

from tamperscope.server.answers import Answer


def respond(answer: Answer, status: int = 200, content_type: str = "application/json") -> Response:
    """Return the JSON of an answer."""
    return Response(answer.model_dump_json(), status, content_type=content_type)
