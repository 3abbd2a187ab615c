"""The address `/`: the web page for browsers, the list of endpoints for programs.

The page consists of the plain files in `web/`, which load nothing from other servers. Its scripts use the API
like any other client. Its own texts are translated before it is sent; its scripts load the catalogue.
"""

from __future__ import annotations

import functools
import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import PurePosixPath

from flask import Blueprint, Request, Response, current_app, g, request
from werkzeug.exceptions import NotFound

from tamperscope import languages
from tamperscope._version import __version__
from tamperscope.api import Endpoint, Index
from tamperscope.documents import pictures
from tamperscope.languages import ENGLISH, LANGUAGES, direction
from tamperscope.server.forms import respond
from tamperscope.server.middleware.access import public
from tamperscope.server.middleware.language import accepted_language
from tamperscope.server.middleware.problems import from_http, is_unknown
from tamperscope.server.openapi import operation, operation_of, path_of
from tamperscope.settings import Settings

# Pictures that were fetched with a key or drawn in the browser have blob: URLs; thumbnails have data: URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
}
_FONTS = (
    "Roboto-Regular.ttf",
    "Roboto-Medium.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansArabic-Bold.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansDevanagari-Bold.ttf",
)
_PAGE = "index.html"
_MISSING = "missing.html"
_LINK = re.compile(r'\b(href|src)="(?:\./)?')
CHOICE = "tamperscope_language"
"""Cookie that holds the language a reader chose on the page. The page's script writes it."""
TEXTS = re.compile(
    r'(?P<before>>\s*|\b(?:aria-label|title|placeholder)=")(?P<text>[^<>"\s][^<>"]*?)(?P<after>\s*<|")'
)
"""Texts and labels in the page's file: the keys of its catalogue."""
_COLOURS = "colours.png"


def blueprint(settings: Settings) -> Blueprint:
    """Return the page, its files, and the index."""
    pages = Blueprint("page", __name__)
    files = _files()

    @pages.get("/")
    @operation({"text/html": None, "application/json": Index})
    @public
    def index() -> Response:
        """Return the web page, or, as JSON, the server's version, limits and endpoints."""
        wanted = request.accept_mimetypes.best_match(["text/html", "application/json"])
        if wanted == "application/json":
            response = respond(_index(settings))
            response.headers["Vary"] = "Accept"
            return response
        return _spoken(_PAGE, settings)

    @pages.get("/page/<name>")
    @public
    def part(name: str) -> Response:
        if name not in files:
            raise NotFound
        return _sent(files[name], _TYPES[PurePosixPath(name).suffix])

    @pages.app_errorhandler(NotFound)
    def missing(error: NotFound) -> Response:
        """Return a page to people at an unknown address, and the problem to programs."""
        if request.method != "GET" or not is_unknown(error) or not _reads_pages(request):
            return from_http(error)
        g.problem = "not-found"
        response = _spoken(_MISSING, settings)
        # Links from the root, wherever the unknown address is.
        root = html.escape(request.script_root)
        response.set_data(_LINK.sub(rf'\1="{root}/', response.get_data(as_text=True)))
        response.headers.remove("ETag")
        response.status_code = 404
        return response

    return pages


def _reads_pages(asked: Request) -> bool:
    """Return whether a request prefers HTML, as those of browsers do, and not just accepts anything."""
    wanted = asked.accept_mimetypes
    return "text/html" in wanted.values() and wanted["text/html"] > wanted["application/json"]


def _spoken(name: str, settings: Settings) -> Response:
    """Return one of the pages in the language that the reader chose, or else accepts."""
    chosen = request.cookies.get(CHOICE)
    language = chosen if chosen in LANGUAGES else accepted_language(request, settings.language)
    response = _sent(page_in(language, name), _TYPES[".html"])
    response.headers["Vary"] = "Accept, Accept-Language, Cookie"
    response.headers["Content-Language"] = language
    return response


def _sent(data: bytes, content_type: str) -> Response:
    response = Response(data, content_type=content_type)
    response.headers["Content-Security-Policy"] = _POLICY
    # Browsers check each time whether it has changed, so an old page never talks to a newer server.
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@functools.cache
def page_in(language: str, name: str = _PAGE) -> bytes:
    """Return a page in one of `LANGUAGES`: its texts, its direction and its list of languages."""
    known = languages.catalogue(language, "page")

    def word(found: re.Match[str]) -> str:
        text = html.unescape(" ".join(found["text"].split()))
        told = known.get(text, text)
        return f"{found['before']}{html.escape(str(told), quote=False)}{found['after']}"

    page = TEXTS.sub(word, _files()[name].decode("utf-8"))
    choices = "".join(
        f'<option value="{code}" lang="{code}"{" selected" if code == language else ""}>{name}</option>'
        for code, name in LANGUAGES.items()
    )
    page = page.replace('<html lang="en" dir="ltr">', f'<html lang="{language}" dir="{direction(language)}">')
    return page.replace('autocomplete="off"></select>', f'autocomplete="off">{choices}</select>').encode(
        "utf-8"
    )


@functools.cache
def _files() -> Mapping[str, bytes]:
    package = resources.files("tamperscope")
    web = {file.name: file.read_bytes() for file in (package / "server" / "web").iterdir()}
    fonts = {name: (package / "documents" / "fonts" / name).read_bytes() for name in _FONTS}
    words = {
        f"{code}.json": json.dumps(languages.catalogue(code, "page"), ensure_ascii=False).encode("utf-8")
        for code in LANGUAGES
        if code != ENGLISH
    }
    return {**web, **fonts, **words, _COLOURS: pictures.colour_scale().data}


def _index(settings: Settings) -> Index:
    return Index(
        name="tamperscope",
        version=__version__,
        description="Detects whether an image was manipulated, where, and how.",
        keys=settings.keys is not None,
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        max_job_images=settings.job_images,
        max_job_bytes=settings.job_bytes,
        retention_days=settings.retention,
        max_stored_bytes=settings.quota,
        signs_reports=settings.signing_key is not None,
        endpoints=_endpoints(),
    )


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
