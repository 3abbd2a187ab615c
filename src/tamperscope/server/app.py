"""The application factory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from re import Pattern
from typing import Any

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.exceptions import BadRequest, NotFound

from tamperscope import case
from tamperscope.documents.signatures import SigningKey
from tamperscope.report import BundleIdentity
from tamperscope.server.assembly import Assembly
from tamperscope.server.connections import REFUSAL, BodyLimit
from tamperscope.server.middleware import language, metrics, problems, request_log
from tamperscope.server.middleware.access import Access, read_keys
from tamperscope.server.middleware.origins import Origins
from tamperscope.server.views import (
    admin,
    analyses,
    cases,
    compare,
    docs,
    feedback,
    health,
    jobs,
    page,
    preview,
    segment_classify,
    signing,
    usage,
)
from tamperscope.settings import ANY_ORIGIN, Settings

_CONTROLS = "tamperscope"
# What a multipart form adds around one file: boundaries, headers, a few small fields.
_FORM_BYTES = 64 * 1024
_FORM_PARTS = 16


@dataclass(frozen=True)
class Controls:
    """What a program uses of an application besides its answers."""

    reload: Callable[[], BundleIdentity]
    """Loads the keys and the bundle. Until its first call, every request receives 503.

    Later calls replace both with their current versions. When it raises `SettingsError` or `BundleError`, the
    application keeps the keys and the bundle that it had.
    """
    allow_host: Callable[[str], None]
    """Makes the application answer to another host name."""
    body_limit: BodyLimit


def controls(app: Flask) -> Controls:
    """Return the controls of an application that `create_app` made."""
    found: Controls = app.extensions[_CONTROLS]
    return found


def create_app(parts: Assembly) -> Flask:
    """Return the WSGI application that serves `parts`; its `controls` load the bundle.

    Raises `SettingsError` when the keys file or the signing key cannot be used.
    """
    settings, service = parts.settings, parts.service
    signing_key = SigningKey.read(settings.signing_key) if settings.signing_key else None
    app = Flask("tamperscope", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = request_limit(settings)
    app.config["MAX_FORM_PARTS"] = _FORM_PARTS
    # No address is ever redirected: a redirect would repeat the host that the request named.
    app.url_map.merge_slashes = False
    # The fields of the answer types are declared in reading order.
    app.json.sort_keys = False  # type: ignore[attr-defined]

    access = Access(read_keys(settings), settings.rate_limit, settings.redis)

    def reload() -> BundleIdentity:
        keys = read_keys(settings)
        identity = service.load()
        access.keys = keys
        return identity

    origins = Origins(settings, access)
    app.extensions[_CONTROLS] = Controls(reload, origins.allow_host, _body_limit(settings, access))
    service.metrics.watch(parts.jobs)
    request_log.register(app)
    language.register(app)
    metrics.register(app, service.metrics)
    origins.register(app)
    access.register(app)
    problems.register(app)
    app.before_request(_refuse_unreceived)
    app.before_request(_refuse_nul)
    app.after_request(_harden)
    for blueprint in (
        page.blueprint(settings),
        health.blueprint(service),
        segment_classify.blueprint(service),
        analyses.blueprint(service, parts.archive, signing_key),
        signing.blueprint(signing_key),
        cases.blueprint(parts.store),
        usage.blueprint(parts.store),
        feedback.blueprint(parts.store),
        preview.blueprint(service),
        compare.blueprint(service, settings.max_bytes + request_limit(settings)),
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
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", request_log.HEADER],
        expose_headers=[
            request_log.HEADER,
            "Content-Disposition",
            "ETag",
            "Location",
            "Retry-After",
            "WWW-Authenticate",
        ],
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


def _body_limit(settings: Settings, access: Access) -> BodyLimit:
    image = request_limit(settings)
    limits = dict.fromkeys(("segment", "classify", "v1/analyses", "v1/preview"), image)
    limits["v1/compare"] = settings.max_bytes + image
    limits[jobs.PATH.lstrip("/")] = jobs.request_limit(settings)

    def limit(path: str, authorization: str | None) -> int:
        # Without a valid key, no view that takes a body will read it.
        if not access.admits(authorization):
            return 0
        usual = case.LARGEST_JSON if path.endswith("/case") else _FORM_BYTES
        return limits.get(path.lstrip("/"), usual)

    return limit


def request_limit(settings: Settings) -> int:
    """Return the largest allowed size of a request body, in bytes."""
    return settings.max_bytes + _FORM_BYTES


def _refuse_unreceived() -> None:
    """Reject a request whose body the server could not receive."""
    if refusal := request.environ.get(REFUSAL):
        raise refusal


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
