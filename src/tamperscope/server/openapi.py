"""The OpenAPI document, generated from the routes and the types of their answers.

`@operation` adds what a view's signature cannot express. A view's docstring becomes the summary. `make docs`
writes the repository's copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from tamperscope._version import __version__
from tamperscope.api import Answer, Problem
from tamperscope.server.middleware.access import is_public

# Bearer keys are optional: a server without a keys file does not require one.
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
    """JSON Schema; an array is sent as comma-separated values."""
    place: Literal["query", "path", "header"] = "query"


@dataclass(frozen=True)
class Operation:
    """The document's facts about a view beyond its route and docstring."""

    answers: Mapping[str, type[Answer] | None]
    """Media type to the answer's type, None if the answer is not JSON. Empty for an answer without a body."""
    statuses: tuple[int, ...]
    problems: tuple[int, ...]
    form: type[BaseModel] | None
    parameters: tuple[Parameter, ...]
    body: type[BaseModel] | None = None
    """The JSON object that a request sends."""


def operation(
    answers: type[Answer] | Mapping[str, type[Answer] | None],
    *,
    statuses: Sequence[int] = (200,),
    problems: Sequence[int] = (),
    form: type[BaseModel] | None = None,
    parameters: Sequence[Parameter] = (),
    body: type[BaseModel] | None = None,
) -> Callable[[_View], _View]:
    """Describe a view: answers and their statuses, statuses of problems, form or body, and parameters."""
    described = Operation(
        {"application/json": answers} if isinstance(answers, type) else answers,
        tuple(statuses),
        tuple(problems),
        form,
        tuple(parameters),
        body,
    )

    def describe(view: _View) -> _View:
        view.operation = described  # type: ignore[attr-defined]
        return view

    return describe


def operation_of(app: Flask, endpoint: str | None) -> Operation | None:
    """Return the description of the view behind an endpoint, or None if it is not part of the API."""
    return getattr(app.view_functions.get(endpoint or ""), "operation", None)


def path_of(rule: Rule) -> str:
    """Return the path of a route in the document's syntax."""
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
        models |= {(model, "validation"): None for model in (described.form, described.body) if model}
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path_of(rule), {})[method.lower()] = _described(view, described)
    _, schemas = models_json_schema(list(models), ref_template=_REFERENCES)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tamperscope",
            "version": __version__,
            "description": "Detects whether an image was manipulated, where, and how.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


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
    for media, sent in (("multipart/form-data", described.form), ("application/json", described.body)):
        if sent:
            result["requestBody"] = {"required": True, "content": {media: _schema(sent)}}
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
