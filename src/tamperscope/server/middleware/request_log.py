"""A request id on every answer and one log line for every request."""

from __future__ import annotations

import logging
import re
import time
import uuid
from urllib.parse import quote

from flask import Flask, Response, g, request

HEADER = "X-Request-Id"

_log = logging.getLogger(__name__)


def id_of(given: str) -> str:
    """Return the caller's own id if it is valid, so that both logs can be joined, or else a new one."""
    return given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else uuid.uuid4().hex


def register(app: Flask) -> None:
    """Give every request of `app` an id and log it.

    The line has the method, path, status, milliseconds and id; as JSON also the key's name and the reason of
    a refusal. It has no file name, form field or query, because those belong to the user.
    """

    @app.before_request
    def begin() -> None:
        g.request_id = id_of(request.headers.get(HEADER, ""))
        g.begun = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers[HEADER] = g.request_id
        path = quote(request.path[:200])
        milliseconds = round((time.perf_counter() - g.begun) * 1000)
        _log.info(
            "%s %s %d %d ms %s",
            request.method,
            path,
            response.status_code,
            milliseconds,
            g.request_id,
            extra={
                "fields": {
                    "method": request.method,
                    "path": path,
                    "status": response.status_code,
                    "milliseconds": milliseconds,
                    "key": g.get("key"),
                    "refusal": g.get("problem"),
                }
            },
        )
        return response
