"""The page in a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator

import PIL.Image
import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

import samples
from fakes import fake_app

Visit = Callable[..., Page]

# No request ever leaves the machine, not even one of the browser itself.
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


# Long enough for an analysis on a busy machine. A wait ends as soon as its condition holds.
_PATIENCE_MILLISECONDS = 60_000
expect.set_options(timeout=_PATIENCE_MILLISECONDS)


# Not session-scoped: while Playwright runs, asyncio allows no other event loop in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "the tests of the page need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    """Return a function that serves an application on a free port and returns its address."""
    running = []

    def start(app: Flask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.port}/"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def visit(browser: Browser, serve: Callable[[Flask], str]) -> Iterator[Visit]:
    """Return a function that opens the page of an application or an address as a first-time visitor.

    The test fails if the page raises an error, violates its own policy or sends a request to another server.
    """
    contexts, trouble = [], []

    def open_page(
        place: Flask | str | None = None, *, width: int = 1280, scheme: str = "light", locale: str = "en-GB"
    ) -> Page:
        address = place if isinstance(place, str) else serve(place or fake_app())
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            reduced_motion="reduce",
            locale=locale,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda said: trouble.append(said.text) if "Policy" in said.text else None)
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((address, "blob:", "data:")) else trouble.append(request.url)
            ),
        )
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.fixture
def photo_png() -> bytes:
    return samples.encode(PIL.Image.fromarray(samples.photo(160, 120)), "PNG")
