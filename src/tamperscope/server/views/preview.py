"""`/v1/preview`: an image as an analysis sees it, for front ends that cannot decode it themselves."""

from __future__ import annotations

from flask import Blueprint, Response, request

from tamperscope.documents import pictures
from tamperscope.server.detector_service import DetectorService
from tamperscope.server.forms import ImageForm, client_disconnected, uploaded_image
from tamperscope.server.openapi import operation


def blueprint(service: DetectorService) -> Blueprint:
    """Return the endpoint that decodes with `service`."""
    views = Blueprint("preview", __name__)

    @views.post("/v1/preview")
    @operation({"image/jpeg": None}, problems=(400, 413, 415, 422, 503), form=ImageForm)
    def create_preview() -> Response:
        """Return an image upright, on white, as a JPEG of at most 2048 pixels per side. Nothing is stored."""
        with service.decoded(uploaded_image(request), client_disconnected(request)) as image:
            preview = pictures.preview(image.pixels)
        return Response(preview.data, content_type=preview.media_type)

    return views
