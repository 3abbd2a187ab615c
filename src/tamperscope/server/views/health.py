"""What operators ask a server: are you alive, are you ready."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response

from tamperscope.api import Alive, BundleFacts, Ready
from tamperscope.server.detector_service import DetectorService
from tamperscope.server.forms import respond
from tamperscope.server.middleware.access import public
from tamperscope.server.openapi import operation


def blueprint(service: DetectorService) -> Blueprint:
    """Return the endpoints that tell about the server itself."""
    probes = Blueprint("probes", __name__)

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
        return respond(Ready(bundle=BundleFacts(**asdict(service.method.bundle))))

    return probes
