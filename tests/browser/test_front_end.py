"""A front end of the operator's own, on another origin, as the guide to the HTTP API shows it."""

from __future__ import annotations

import base64
import datetime
import re
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Error, Page

from fakes import fake_app
from tamperscope.server.middleware.keys import create_key
from tamperscope.settings import Settings

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "http-api.md"
CALL = """async ([server, key, image]) => {
  const bytes = await (await fetch(`data:image/png;base64,${image}`)).blob();
  const found = await analyse(server, key, bytes);
  return [found.verdict, found.mask.type, found.location];
}"""


def example() -> str:
    found = re.search(r"```js\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def front_end(serve, browser):
    """A page on an origin of its own, with the example as its script."""
    app = Flask("front end")
    app.add_url_rule(
        "/", "page", lambda: f"<!doctype html><title>front end</title><script>{example()}</script>"
    )
    context = browser.new_context()
    page = context.new_page()
    page.goto(serve(app))
    yield page
    context.close()


@pytest.fixture
def keys(tmp_path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def key(keys) -> str:
    return create_key(keys, "front end", admin=False, today=datetime.date(2026, 1, 31))


def server_for(serve, keys: Path, *origins: str) -> str:
    return serve(fake_app(Settings(keys=keys, cors_origins=origins))).rstrip("/")


def origin_of(page: Page) -> str:
    return str(page.evaluate("location.origin"))


def test_the_guides_example_works_from_a_listed_origin(front_end, serve, keys, key, photo_png):
    server = server_for(serve, keys, origin_of(front_end))

    found = front_end.evaluate(CALL, [server, key, base64.b64encode(photo_png).decode()])

    assert found[:2] == ["manipulated", "image/png"]
    assert found[2].startswith("/v1/analyses/")


def test_the_page_can_read_why_a_key_is_refused(front_end, serve, keys, key, photo_png):
    server = server_for(serve, keys, origin_of(front_end))

    with pytest.raises(Error, match="This key is not valid"):
        front_end.evaluate(CALL, [server, "tsk_wrong", base64.b64encode(photo_png).decode()])


@pytest.mark.parametrize("origins", [("*",), ("https://news.example",)])
def test_other_origins_cannot_call(front_end, serve, keys, key, photo_png, origins):
    server = server_for(serve, keys, *origins)

    with pytest.raises(Error, match="Failed to fetch"):
        front_end.evaluate(CALL, [server, key, base64.b64encode(photo_png).decode()])
