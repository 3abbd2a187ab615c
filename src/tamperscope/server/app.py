"""The application factory."""

from __future__ import annotations

from flask import Flask
from flask_cors import CORS

from tamperscope.detector import Detector
from tamperscope.server import contract, probes, problems, request_log
from tamperscope.server.analysis import AnalysisService
from tamperscope.server.settings import Settings

SERVICE = "tamperscope"

# What a multipart form adds around one file: boundaries, headers, a few small fields.
_FORM_BYTES = 64 * 1024
_FORM_PARTS = 16


def create_app(settings: Settings, detector: Detector) -> Flask:
    """Return the WSGI application that answers with `detector` under `settings`.

    `app.extensions[SERVICE]` is its `AnalysisService`; `/ready` answers 503 until that is warmed up.
    """
    app = Flask("tamperscope", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = request_limit(settings)
    app.config["MAX_FORM_PARTS"] = _FORM_PARTS

    service = AnalysisService(settings, detector)
    app.extensions[SERVICE] = service
    request_log.register(app)
    problems.register(app)
    app.register_blueprint(probes.blueprint(service))
    app.register_blueprint(contract.blueprint(service))
    CORS(
        app,
        resources=["/segment", "/classify"],
        origins=list(settings.cors_origins),
        methods=["POST"],
        send_wildcard=True,
        always_send=False,
        expose_headers=[request_log.HEADER, "Retry-After"],
    )
    return app


def request_limit(settings: Settings) -> int:
    """Return the most bytes that the body of a request may have."""
    return settings.max_bytes + _FORM_BYTES
