"""The OpenAPI document, generated from the routes and the types of their answers, and a page that shows it.

A view says with `@operation` what its signature cannot; its docstring becomes the summary. The repository's
copy is written by `python -m tamperscope.server.openapi`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from typing import Any, Literal, TypeVar

from flask import Blueprint, Flask, Response, current_app, jsonify
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.exceptions import NotFound
from werkzeug.routing import Rule

from tamperscope import __version__
from tamperscope.server.access import is_public, public
from tamperscope.server.answers import Answer, Problem

# Bearer keys are optional: a server without a keys file asks for none.
_SECURITY: list[dict[str, list[str]]] = [{}, {"key": []}]
_ACCESS_PROBLEMS = (401, 403, 429)
_STYLES: dict[str, dict[str, Any]] = {
    "query": {"style": "form", "explode": False},
    "path": {"required": True},
    "header": {},
}
_REFERENCES = "#/components/schemas/{model}"

_View = TypeVar("_View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Parameter:
    """One parameter of the query string, the path or the headers."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """JSON Schema; an array is given as values with commas between."""
    place: Literal["query", "path", "header"] = "query"


@dataclass(frozen=True)
class Operation:
    """What the document says about a view beyond its route and docstring."""

    answers: Mapping[str, type[Answer] | None]
    """Media type of the answer to its type; None where it is no JSON. Empty for an answer without a body."""
    statuses: tuple[int, ...]
    problems: tuple[int, ...]
    form: type[BaseModel] | None
    parameters: tuple[Parameter, ...]


def operation(
    answers: type[Answer] | Mapping[str, type[Answer] | None],
    *,
    statuses: Sequence[int] = (200,),
    problems: Sequence[int] = (),
    form: type[BaseModel] | None = None,
    parameters: Sequence[Parameter] = (),
) -> Callable[[_View], _View]:
    """Describe a view: its answers, their statuses, those of its problems, its form, its parameters."""
    described = Operation(
        {"application/json": answers} if isinstance(answers, type) else answers,
        tuple(statuses),
        tuple(problems),
        form,
        tuple(parameters),
    )

    def describe(view: _View) -> _View:
        view.operation = described  # type: ignore[attr-defined]
        return view

    return describe


def operation_of(app: Flask, endpoint: str | None) -> Operation | None:
    """Return what was said about the view behind an endpoint, None for one that is no part of the API."""
    return getattr(app.view_functions.get(endpoint or ""), "operation", None)


def path_of(rule: Rule) -> str:
    """Return a route as the document writes it."""
    return re.sub(r"<(\w+)>", r"{\1}", rule.rule)


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application."""
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        described = operation_of(app, rule.endpoint)
        if described is None:
            continue
        models |= {(model, "serialization"): None for model in described.answers.values() if model}
        if described.form:
            models[described.form, "validation"] = None
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path_of(rule), {})[method.lower()] = _described(view, described)
    _, schemas = models_json_schema(list(models), ref_template=_REFERENCES)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tamperscope",
            "version": __version__,
            "description": "Finds out whether a picture was manipulated, where, and how.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def blueprint() -> Blueprint:
    """Return `/openapi.json` and the page `/docs`, which takes nothing from the internet."""
    pages = Blueprint("openapi", __name__)

    @pages.get("/openapi.json")
    @operation({"application/json": None})
    @public
    def openapi() -> Response:
        """Return this API's description."""
        return jsonify(document(current_app))

    @pages.get("/docs")
    @operation({"text/html": None})
    @public
    def docs() -> Response:
        """Return a page to read about this API and to try it."""
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


def _described(view: Callable[..., Any], described: Operation) -> dict[str, Any]:
    answer = {media: _schema(model) if model else {} for media, model in described.answers.items()}
    result: dict[str, Any] = {"operationId": view.__name__, "summary": (view.__doc__ or "").strip()}
    if described.parameters:
        result["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.place,
                "description": parameter.description,
                "schema": parameter.schema,
                **_STYLES[parameter.place],
            }
            for parameter in described.parameters
        ]
    if described.form:
        result["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": _schema(described.form)},
        }
    result["responses"] = {
        str(status): {"description": HTTPStatus(status).phrase} | ({"content": answer} if answer else {})
        for status in described.statuses
    } | {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": _schema(Problem)},
        }
        for status in sorted(described.problems + (() if is_public(view) else _ACCESS_PROBLEMS))
    }
    if not is_public(view):
        result["security"] = _SECURITY
    return result


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REFERENCES.format(model=model.__name__)}}


# The page: Swagger UI's files as a Python package brings them, and a start of our own, because that package's
# page has scripts in line, which the policy below forbids.

_SWAGGER_UI = {
    "swagger-ui.css": ("css", "text/css"),
    "swagger-ui-bundle.js": ("js", "text/javascript"),
}
# Swagger UI draws its icons from data: addresses and styles some elements in line.
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


def _page_part(content: bytes, content_type: str) -> Response:
    return Response(content, content_type=content_type, headers={"Content-Security-Policy": _POLICY})


if __name__ == "__main__":
    from tamperscope.detector import Detector
    from tamperscope.server.app import create_app
    from tamperscope.server.settings import Settings
    from tamperscope.store import Database, Store

    # Nothing is asked of it, so the file never comes to be.
    unused = Store(Database("sqlite:///unused.db"))
    json.dump(document(create_app(Settings(), Detector.load, unused)), sys.stdout, indent=2)
    sys.stdout.write("\n")
