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


def register(app: Flask) -> None:
    """Name and log every request of `app`.

    The line has method, path, status, milliseconds and id. It has no file name, no form field and no
    query, because those belong to the user.
    """

    @app.before_request
    def begin() -> None:
        given = request.headers.get(HEADER, "")
        # A caller's own id joins our log with theirs; anything that is not plainly an id is replaced.
        g.request_id = given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else uuid.uuid4().hex
        g.begun = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers[HEADER] = g.request_id
        _log.info(
            "%s %s %d %.0f ms %s",
            request.method,
            quote(request.path[:200]),
            response.status_code,
            (time.perf_counter() - g.begun) * 1000,
            g.request_id,
        )
        return response
