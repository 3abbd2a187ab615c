"""Logging: text lines for people, or one JSON object per line for programs."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import TextIO

from flask import g, has_request_context


def configure(level: str, log_format: str) -> None:
    """Log everything from `level` up to stderr, as `text` or as `json`."""
    logging.basicConfig(level=level.upper(), handlers=[handler(log_format, sys.stderr)])
    # At level info, waitress logs every client that closes its connection first, as curl does. huey logs
    # every message. alembic logs at each start that the database needs no change.
    for library in ("waitress", "huey", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # Under load it writes a line for each request. The metrics show the queue.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def handler(log_format: str, stream: TextIO) -> logging.Handler:
    """Return a handler that writes to `stream`, as `text` or as `json`."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(_with_request_id)
    handler.setFormatter(
        _JsonFormatter()
        if log_format == "json"
        else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    return handler


def _with_request_id(record: logging.LogRecord) -> bool:
    """Add the request's id to a line that is logged during a request."""
    if has_request_context():
        record.request_id = g.get("request_id")
    return True


class _JsonFormatter(logging.Formatter):
    """One object per line: time, level, logger, message, and `request_id` and further fields if present."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in line.items() if value is not None})
