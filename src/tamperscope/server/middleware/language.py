"""The language of answers below `/v1`: what `Accept-Language` asks for (RFC 9110, 12.5.4), or English.

Only sentences follow it. Names, numbers and addresses are the same in every language.
"""

from __future__ import annotations

from contextlib import ExitStack

from flask import Flask, Request, Response, g, request

from tamperscope.languages import ENGLISH, LANGUAGES, current, speaking

_PREFIX = "/v1/"


def register(app: Flask) -> None:
    """Make `app` answer requests below `/v1` in the language that they ask for."""
    app.before_request(_begin)
    app.after_request(_declare)
    app.teardown_request(_end)


def accepted_language(request: Request, usual: str = ENGLISH) -> str:
    """Return the language among `LANGUAGES` that a request prefers; `usual` if it accepts none of them."""
    return request.accept_languages.best_match(LANGUAGES, usual) or usual


def _begin() -> None:
    if request.path.startswith(_PREFIX):
        g.language = ExitStack()
        g.language.enter_context(speaking(accepted_language(request)))


def _declare(response: Response) -> Response:
    if request.path.startswith(_PREFIX):
        response.vary.add("Accept-Language")
        if (response.mimetype or "").endswith(("json", "html", "pdf")):
            response.content_language.add(current())
    return response


def _end(_: BaseException | None) -> None:
    language: ExitStack | None = g.pop("language", None)
    if language is not None:
        language.close()
