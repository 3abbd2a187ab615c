"""`/openapi.json` and `/docs`: the API's description, and a page to read it and try the API."""

from __future__ import annotations

from importlib import resources

from flask import Blueprint, Response, current_app, jsonify
from werkzeug.exceptions import NotFound

from tamperscope.server.middleware.access import public
from tamperscope.server.openapi import document, operation

# Swagger UI's files from a Python package, started by our own script: that package's page has inline scripts,
# which the policy below forbids.
_SWAGGER_UI = {
    "swagger-ui.css": ("css", "text/css"),
    "swagger-ui-bundle.js": ("js", "text/javascript"),
}
# Swagger UI loads its icons from data: URLs and styles some elements inline.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>tamperscope API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START = b'SwaggerUIBundle({url: "openapi.json", dom_id: "#api", validatorUrl: null});\n'


def blueprint() -> Blueprint:
    """Return `/openapi.json` and the page `/docs`, which loads nothing from the internet."""
    pages = Blueprint("openapi", __name__)

    @pages.get("/openapi.json")
    @operation({"application/json": None})
    @public
    def openapi() -> Response:
        """Return the OpenAPI description of this API."""
        return jsonify(document(current_app))

    @pages.get("/docs")
    @operation({"text/html": None})
    @public
    def docs() -> Response:
        """Return a page to read about this API and try it."""
        return _page_part(_PAGE, "text/html; charset=utf-8")

    @pages.get("/docs/<name>")
    @public
    def docs_part(name: str) -> Response:
        """Return a script or style sheet of the page."""
        if name == "start.js":
            return _page_part(_START, "text/javascript")
        if name not in _SWAGGER_UI:
            raise NotFound
        folder, content_type = _SWAGGER_UI[name]
        file = resources.files("flask_openapi_swagger") / "templates" / "swagger" / folder / name
        return _page_part(file.read_bytes(), content_type)

    return pages


def _page_part(content: bytes, content_type: str) -> Response:
    return Response(content, content_type=content_type, headers={"Content-Security-Policy": _POLICY})
