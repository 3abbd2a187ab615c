"""Every error answer of the server, as problem details (RFC 9457).

`g.problem` then holds the one-word reason for the log and the metrics.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound

from tamperscope import errors
from tamperscope.api import Problem
from tamperscope.languages import translated
from tamperscope.server.forms import respond

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
UNEXPECTED = "unexpected"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kind:
    status: int
    title: str
    slug: str


# The most specific class of an exception that is listed here decides.
_KINDS: dict[type[BaseException], _Kind] = {
    errors.EmptyImageError: _Kind(400, "No image", "no-image"),
    errors.ImageTooLargeError: _Kind(413, "Image too large", "image-too-large"),
    errors.UnsupportedImageError: _Kind(415, "Unsupported image", "unsupported-image"),
    errors.DamagedImageError: _Kind(422, "Damaged image", "damaged-image"),
    errors.ImageTooSmallError: _Kind(422, "Image too small", "image-too-small"),
    errors.AnalysisTimeoutError: _Kind(422, "Analysis takes too long", "analysis-timeout"),
    errors.ImageError: _Kind(422, "Image cannot be analysed", "image"),
    errors.BusyError: _Kind(503, "Too busy", "busy"),
    errors.NotReadyError: _Kind(503, "Not ready", "not-ready"),
    errors.StoppingError: _Kind(503, "Stopping", "stopping"),
    errors.TemporaryFolderError: _Kind(507, "No room for the upload", "no-room"),
    errors.StoreError: _Kind(503, "Database unavailable", "store"),
    errors.DatabaseFullError: _Kind(507, "No room in the database", "no-room"),
    errors.QuotaError: _Kind(507, "Quota reached", "quota"),
    errors.EmptyJobError: _Kind(400, "No image", "no-image"),
    errors.JobTooLargeError: _Kind(413, "Job too large", "job-too-large"),
    errors.ArchiveError: _Kind(415, "Unsupported archive", "unsupported-archive"),
    errors.TooManyJobsError: _Kind(429, "Too many jobs", "too-many-jobs"),
    errors.ReusedKeyError: _Kind(422, "Idempotency key reused", "idempotency-key"),
    errors.WebhookError: _Kind(400, "Webhook refused", "webhook"),
}


_NO_SUCH_ADDRESS = "There is nothing at this address. GET / lists what this server answers."


def register(app: Flask) -> None:
    """Answer every error of `app` with a problem document."""
    app.register_error_handler(errors.TamperscopeError, _from_ours)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Exception, _from_unexpected)


def uri(slug: str) -> str:
    """Return the URI that is the `type` of a problem."""
    return f"urn:tamperscope:problem:{slug}"


def slug_of(error: errors.TamperscopeError) -> str:
    """Return the one-word reason of a problem."""
    kind = _kind(error)
    return kind.slug if kind else UNEXPECTED


def _kind(error: errors.TamperscopeError) -> _Kind | None:
    return next((_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS), None)


def _from_ours(error: errors.TamperscopeError) -> Response:
    kind = _kind(error)
    if kind is None:
        return _from_unexpected(error)
    g.problem = kind.slug
    response = _respond(kind.status, kind.title, str(error), uri(kind.slug))
    if kind.status in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def is_unknown(error: HTTPException) -> bool:
    """Return whether an error says that the server has no such address, rather than no such record."""
    return error.code == 404 and error.description == NotFound.description


def from_http(error: HTTPException) -> Response:
    """Return the answer to an error of HTTP, such as a wrong method."""
    status = error.code or 500
    g.problem = error.name.lower().replace(" ", "-")
    # The library's own sentence speaks of a typed address, to programs too.
    detail = _NO_SUCH_ADDRESS if is_unknown(error) else error.description or error.name
    response = _respond(status, error.name, detail)
    # For example Allow, which a 405 must have.
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def _from_unexpected(error: Exception) -> Response:
    g.problem = UNEXPECTED
    _log.error("unexpected error", exc_info=error)
    return _respond(
        500,
        InternalServerError().name,
        "The server failed to process this request; see its log for the reason.",
    )


def _respond(status: int, title: str, detail: str, type: str = "about:blank") -> Response:
    detail = translated(detail)
    problem = Problem(type=type, title=title, status=status, detail=detail, error=detail)
    return respond(problem, status, CONTENT_TYPE)
