"""Liveness and readiness probes."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response

from tamperscope.api import Alive, BundleFacts, Ready
from tamperscope.server.detector_service import DetectorService
from tamperscope.server.forms import respond
from tamperscope.server.middleware.access import public
from tamperscope.server.openapi import operation


def blueprint(service: DetectorService) -> Blueprint:
    """Return the endpoints that report the state of the server."""
    probes = Blueprint("probes", __name__)

    @probes.get("/health")
    @operation(Alive)
    @public
    def health() -> Response:
        """Return 200 while the server is running (liveness probe)."""
        return respond(Alive())

    @probes.get("/ready")
    @operation(Ready, problems=[503])
    @public
    def ready() -> Response:
        """Return 200, the bundle's identity and the device once the networks are loaded and warm, 503 before
        that.
        """
        method = service.method
        return respond(Ready(bundle=BundleFacts(**asdict(method.bundle)), device=method.device))

    return probes
