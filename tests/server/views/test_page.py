"""The page's files: who receives them, their policy, and that they load nothing from other servers."""

from __future__ import annotations

import re
from datetime import date
from importlib import resources

import pytest

from fakes import fake_app
from tamperscope.server.middleware.keys import create_key
from tamperscope.settings import Settings

WEB = resources.files("tamperscope.server") / "web"
PARTS = sorted(file.name for file in WEB.iterdir())


@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*", None])
def test_browsers_receive_the_page(client, accept):
    page = client.get("/", headers={"Accept": accept} if accept else {})

    assert (page.status_code, page.mimetype, page.headers["Vary"]) == (
        200,
        "text/html",
        "Accept, Accept-Language, Cookie",
    )


def test_programs_receive_the_limits():
    settings = Settings(max_bytes=1000, max_pixels=2000, retention=None)
    client = fake_app(settings).test_client()

    index = client.get("/", headers={"Accept": "application/json"}).get_json()

    assert (index["max_bytes"], index["max_pixels"], index["retention_days"]) == (1000, 2000, None)
    assert index["keys"] is False


def test_its_policy_allows_no_inline_code_and_no_other_server(client):
    policy = client.get("/").headers["Content-Security-Policy"]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))

    assert directives["default-src"] == "'none'"
    assert (directives["script-src"], directives["style-src"]) == ("'self'", "'self'")
    assert directives["connect-src"] == "'self'"
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", PARTS)
def test_its_files_name_no_other_server(name):
    if name.endswith((".html", ".css", ".js")):
        text = (WEB / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.|@import|innerHTML|eval\(", text)


def test_the_files_it_loads_exist_and_are_sent_again_only_when_changed(client):
    sources = [
        (WEB / name).read_text(encoding="utf-8") for name in PARTS if name.endswith((".html", ".css", ".js"))
    ]
    named = set(
        re.findall(r"""["'(](?:\./|page/)?(\w[\w-]*\.(?:js|css|svg|jpg|png|ttf))["')]""", "".join(sources))
    )

    assert named >= {"app.js", "style.css", "sample.jpg", "colours.png", "Roboto-Medium.ttf"}
    for name in named:
        part = client.get(f"/page/{name}")
        assert (part.status_code, part.headers["Cache-Control"]) == (200, "no-cache"), name
        again = client.get(f"/page/{name}", headers={"If-None-Match": part.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b""), name


@pytest.mark.parametrize("name", ["index", "..%2Fpage.py", "nothing.js"])
def test_nothing_else_is_served(client, name):
    assert client.get(f"/page/{name}").status_code == 404


def test_it_needs_no_key(tmp_path):
    create_key(tmp_path / "keys.json", "newsroom", admin=False, today=date(2026, 1, 31))
    client = fake_app(Settings(keys=tmp_path / "keys.json")).test_client()

    assert client.get("/").status_code == 200
    assert client.get("/page/app.js").status_code == 200
    assert client.get("/", headers={"Accept": "application/json"}).get_json()["keys"] is True
