"""The application factory."""

from __future__ import annotations

from collections.abc import Callable
from re import Pattern
from typing import Any

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.exceptions import BadRequest, NotFound

from tamperscope.detector import Detector
from tamperscope.report import BundleIdentity
from tamperscope.server import (
    admin,
    contract,
    jobs,
    metrics,
    openapi,
    page,
    probes,
    problems,
    request_log,
    v1,
)
from tamperscope.server.access import Access, read_keys
from tamperscope.server.analyses import Analyses
from tamperscope.server.analysis import AnalysisService
from tamperscope.server.settings import ANY_ORIGIN, Settings
from tamperscope.server.work import job_runner, job_store
from tamperscope.store import Store

RELOAD = "tamperscope"
JOBS = "tamperscope.jobs"

# What a multipart form adds around one file: boundaries, headers, a few small fields.
_FORM_BYTES = 64 * 1024
_FORM_PARTS = 16


def create_app(settings: Settings, load: Callable[[], Detector], store: Store) -> Flask:
    """Return the WSGI application that answers under `settings` and keeps analyses in `store`.

    `app.extensions[RELOAD]` is a function that reads the keys and, by `load`, the bundle: called once before
    anything is answered but 503, and again to swap in what is there now. It raises `SettingsError` or
    `BundleError`, and everything stays as it was. `app.extensions[JOBS]` is the `JobRunner` of its jobs, to
    be started when the bundle is there.

    Raises `SettingsError` when the keys file or Redis cannot be used, `MissingExtraError` without its driver.
    """
    app = Flask("tamperscope", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = request_limit(settings)
    app.config["MAX_FORM_PARTS"] = _FORM_PARTS
    # The order of the types is the order in which a reader looks for things.
    app.json.sort_keys = False  # type: ignore[attr-defined]

    service = AnalysisService(settings, load)
    access = Access(read_keys(settings), settings.rate_limit)

    def reload() -> BundleIdentity:
        keys = read_keys(settings)
        identity = service.load()
        access.keys = keys
        return identity

    analyses = Analyses(service, store, settings)
    submitted = job_store(settings, store.database)
    service.metrics.watch(submitted)
    # With Redis, the jobs are for worker processes.
    runner = job_runner(
        settings, service, analyses, submitted, threads=0 if settings.redis else settings.workers
    )
    app.extensions[RELOAD] = reload
    app.extensions[JOBS] = runner
    request_log.register(app)
    metrics.register(app, service.metrics)
    access.register(app)
    problems.register(app)
    app.before_request(_refuse_nul)
    app.after_request(_harden)
    for blueprint in (
        page.blueprint(settings),
        probes.blueprint(service),
        contract.blueprint(service),
        v1.blueprint(service, analyses),
        jobs.blueprint(submitted, runner, settings),
        admin.blueprint(reload),
        openapi.blueprint(),
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
        # Any page that a user visits could read the user's own history otherwise.
        return contract
    return {**contract, "/v1/.*": {"methods": ["GET", "POST", "DELETE"]}}


def request_limit(settings: Settings) -> int:
    """Return the most bytes that the body of a request may have."""
    return settings.max_bytes + _FORM_BYTES


def _refuse_nul() -> None:
    """Say before any database is asked that nothing here has such a character: PostgreSQL takes none."""
    if "\0" in request.path:
        raise NotFound("There is nothing here: no address of this server has a NUL character in it.")
    if any("\0" in value for value in request.args.values()):
        raise BadRequest("No parameter may have a NUL character in it.")


def _harden(response: Response) -> Response:
    """Tell browsers to take an answer for what it says it is, and to keep no copy of it."""
    for name, value in (
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ):
        response.headers.setdefault(name, value)
    return response
