"""What operators ask a server: what are you, are you alive, are you ready."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from flask import Blueprint, Response, current_app, jsonify
from werkzeug.exceptions import ServiceUnavailable

from tamperscope.server.analysis import AnalysisService
from tamperscope.server.problems import RETRY_AFTER_SECONDS


@dataclass(frozen=True)
class Endpoint:
    """One line of the list of endpoints."""

    method: str
    path: str
    does: str


def blueprint(service: AnalysisService) -> Blueprint:
    """Return the endpoints that tell about the server itself."""
    probes = Blueprint("probes", __name__)

    @probes.get("/")
    def index() -> Response:
        """Return what this server is and what it answers."""
        return jsonify(
            name="tamperscope",
            description="Finds out whether a picture was manipulated, where, and how.",
            endpoints=_endpoints(),
        )

    @probes.get("/health")
    def health() -> Response:
        """Return 200 as long as the server answers at all."""
        return jsonify(status="ok")

    @probes.get("/ready")
    def ready() -> Response:
        """Return 200 and the bundle's identity once the networks are loaded and warm, 503 before."""
        if not service.is_warm:
            raise ServiceUnavailable("The model is still warming up.", retry_after=RETRY_AFTER_SECONDS)
        return jsonify(status="ready", bundle=asdict(service.bundle))

    return probes


def _endpoints() -> list[Endpoint]:
    return [
        Endpoint(method, rule.rule, (current_app.view_functions[rule.endpoint].__doc__ or "").strip())
        for rule in current_app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
