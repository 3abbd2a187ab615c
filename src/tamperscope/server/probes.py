"""What operators ask a server: what are you, are you alive, are you ready."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, current_app

from tamperscope.server.access import public
from tamperscope.server.analysis import AnalysisService
from tamperscope.server.answers import Alive, BundleFacts, Endpoint, Index, Ready
from tamperscope.server.openapi import operation, operation_of, path_of
from tamperscope.server.responses import respond


def blueprint(service: AnalysisService) -> Blueprint:
    """Return the endpoints that tell about the server itself."""
    probes = Blueprint("probes", __name__)

    @probes.get("/")
    @operation(Index)
    @public
    def index() -> Response:
        """Return what this server is and what it answers."""
        return respond(
            Index(
                name="tamperscope",
                description="Finds out whether a picture was manipulated, where, and how.",
                endpoints=_endpoints(),
            )
        )

    @probes.get("/health")
    @operation(Alive)
    @public
    def health() -> Response:
        """Return 200 as long as the server answers at all."""
        return respond(Alive())

    @probes.get("/ready")
    @operation(Ready, problems=[503])
    @public
    def ready() -> Response:
        """Return 200 and the bundle's identity once the networks are loaded and warm, 503 before."""
        return respond(Ready(bundle=BundleFacts(**asdict(service.bundle))))

    return probes


def _endpoints() -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(
            method=method,
            path=path_of(rule),
            does=(current_app.view_functions[rule.endpoint].__doc__ or "").strip(),
        )
        for rule in current_app.url_map.iter_rules()
        if operation_of(current_app, rule.endpoint)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    )
