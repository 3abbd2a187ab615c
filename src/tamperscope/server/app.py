"""The application factory."""

from __future__ import annotations

from re import Pattern
from typing import Any

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.exceptions import BadRequest, NotFound

from tamperscope.report import BundleIdentity
from tamperscope.server.assembly import Assembly
from tamperscope.server.middleware import metrics, problems, request_log
from tamperscope.server.middleware.access import Access, read_keys
from tamperscope.server.views import admin, analyses, docs, health, jobs, page, preview, segment_classify
from tamperscope.settings import ANY_ORIGIN, Settings

RELOAD = "tamperscope"

# What a multipart form adds around one file: boundaries, headers, a few small fields.
_FORM_BYTES = 64 * 1024
_FORM_PARTS = 16


def create_app(parts: Assembly) -> Flask:
    """Return the WSGI application that serves `parts`.

    `app.extensions[RELOAD]` is a function that loads the keys and the bundle. Until its first call, every
    request receives 503. Later calls replace both with their current versions. When the function raises
    `SettingsError` or `BundleError`, the server keeps the keys and the bundle that it had.

    Raises `SettingsError` when the keys file cannot be used.
    """
    settings, service = parts.settings, parts.service
    app = Flask("tamperscope", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = request_limit(settings)
    app.config["MAX_FORM_PARTS"] = _FORM_PARTS
    # The fields of the answer types are declared in reading order.
    app.json.sort_keys = False  # type: ignore[attr-defined]

    access = Access(read_keys(settings), settings.rate_limit)

    def reload() -> BundleIdentity:
        keys = read_keys(settings)
        identity = service.load()
        access.keys = keys
        return identity

    app.extensions[RELOAD] = reload
    service.metrics.watch(parts.jobs)
    request_log.register(app)
    metrics.register(app, service.metrics)
    access.register(app)
    problems.register(app)
    app.before_request(_refuse_nul)
    app.after_request(_harden)
    for blueprint in (
        page.blueprint(settings),
        health.blueprint(service),
        segment_classify.blueprint(service),
        analyses.blueprint(service, parts.archive),
        preview.blueprint(service),
        jobs.blueprint(parts.jobs, parts.runner, settings),
        admin.blueprint(reload),
        docs.blueprint(),
    ):
        app.register_blueprint(blueprint)
    CORS(
        app,
        resources=_open_to_pages(settings),
        origins=list(settings.cors_origins),
        send_wildcard=True,
        always_send=False,
        expose_headers=[request_log.HEADER, "Location", "Retry-After"],
    )
    return app


def _open_to_pages(settings: Settings) -> dict[str | Pattern[str], dict[str, Any]]:
    contract: dict[str | Pattern[str], dict[str, Any]] = {
        path: {"methods": ["POST"]} for path in ("/segment", "/classify")
    }
    if settings.cors_origins == (ANY_ORIGIN,):
        # Otherwise any page that a user visits could read that user's history.
        return contract
    return {**contract, "/v1/.*": {"methods": ["GET", "POST", "DELETE"]}}


def request_limit(settings: Settings) -> int:
    """Return the largest allowed size of a request body, in bytes."""
    return settings.max_bytes + _FORM_BYTES


def _refuse_nul() -> None:
    """Reject NUL characters before they reach the database, because PostgreSQL does not accept them."""
    if "\0" in request.path:
        raise NotFound("Not found: no address of this server contains a NUL character.")
    if any("\0" in value for value in request.args.values()):
        raise BadRequest("A parameter must not contain a NUL character.")


def _harden(response: Response) -> Response:
    """Tell browsers to trust the declared content type of an answer and not to cache it."""
    for name, value in (
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ):
        response.headers.setdefault(name, value)
    return response
