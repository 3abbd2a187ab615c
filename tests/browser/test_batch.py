"""Many pictures at once: a table with the jobs of the server behind it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from flask import Flask
from playwright.sync_api import Page, Route, expect

import samples
from fakes import JOBS, fake_app, fresh_store

MANY = 8


def picture(number: int) -> dict[str, object]:
    """Return a picture; every other one is black, in which the fake detector finds nothing."""
    pixels = np.zeros((60, 80 + number, 3), np.uint8) if number % 2 else samples.photo(80, 60, seed=number)
    return {
        "name": f"{number:02}.png",
        "mimeType": "image/png",
        "buffer": samples.encode(pixels, "PNG"),
    }


class Working:
    """Works off the jobs of an application in a thread of its own, as `serve` does."""

    def __init__(self, app: Flask) -> None:
        self._runner = app.extensions[JOBS]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self._runner.work():
                self._stopped.wait(0.02)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


@pytest.fixture
def app() -> Iterator[Flask]:
    app = fake_app()
    working = Working(app)
    yield app
    working.stop()


def choose(page: Page, count: int = MANY) -> None:
    page.set_input_files("#files", [picture(number) for number in range(count)])


def names(page: Page) -> list[str]:
    return page.locator(".batch tbody th").all_text_contents()


def finished(page: Page, text: str = f"{MANY} of {MANY} finished, {MANY // 2} manipulated") -> None:
    expect(page.locator(".standing")).to_have_text(text)


def saved(page: Page, label: str) -> bytes:
    with page.expect_download() as started:
        page.get_by_role("button", name=label, exact=True).click()
    return Path(started.value.path()).read_bytes()


def test_many_pictures_become_one_job_and_a_table(visit, app):
    page = visit(app)
    posted: list[str] = []
    page.on("request", lambda asked: posted.append(asked.url) if asked.method == "POST" else None)
    choose(page)

    finished(page)
    assert [url.rsplit("/", 1)[1] for url in posted] == ["jobs"]
    page.get_by_role("link", name="00.png").click()
    expect(page.locator(".verdict h1")).to_have_text("Manipulated")
    page.get_by_role("link", name=f"All {MANY} pictures").click()
    finished(page)


def test_a_picture_that_browsers_cannot_read_has_a_thumbnail_too(visit, app):
    page = visit(app)
    scan = {
        "name": "scan.heic",
        "mimeType": "image/heic",
        "buffer": samples.encode(samples.photo(80, 60), "HEIF"),
    }
    page.set_input_files("#files", [*(picture(number) for number in range(MANY - 1)), scan])

    expect(page.locator("tr", has_text="scan.heic").locator(".thumb img")).to_have_attribute(
        "src", re.compile("^data:")
    )


def test_it_is_sorted_filtered_and_searched(visit, app):
    page = visit(app)
    choose(page)
    finished(page)
    page.get_by_role("button", name="Picture", exact=True).click()
    page.get_by_role("button", name="Picture", exact=True).click()
    expect(page.locator(".batch tbody th").first).to_have_text("07.png")
    expect(page.locator(".batch thead [aria-sort='descending']")).to_have_text("Picture")
    page.get_by_role("button", name="Score").click()
    expect(page.locator(".batch tbody td.number").first).to_have_text("0.90")
    page.locator("#batch").get_by_label("Show", exact=True).select_option("authentic")
    expect(page.locator(".batch tbody tr")).to_have_count(MANY // 2)
    page.locator("#batch").get_by_label("Search").fill("03")

    expect(page.locator(".batch tbody th")).to_have_text(["03.png"])


def test_it_is_taken_away_as_csv_json_and_a_zip_of_reports(visit, app):
    page = visit(app)
    choose(page)
    finished(page)

    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV").decode("utf-8-sig"))))
    assert [(row["name"], row["verdict"], row["score"]) for row in rows[:2]] == [
        ("00.png", "manipulated", "0.90"),
        ("01.png", "authentic", "0.10"),
    ]
    assert [row["name"] for row in json.loads(saved(page, "JSON"))] == [row["name"] for row in rows]
    archive = zipfile.ZipFile(io.BytesIO(saved(page, "Reports, zip")))
    assert archive.testzip() is None
    assert sorted(archive.namelist())[0] == "1-00.png.pdf"
    assert all(archive.read(name).startswith(b"%PDF-") for name in archive.namelist())


def test_a_spreadsheet_runs_no_name_as_a_formula(visit, app):
    page = visit(app)
    files = [{**picture(number), "name": f"=cmd{number}.png"} for number in range(MANY)]
    page.set_input_files("#files", files)
    finished(page)

    assert b'"\'=cmd0.png"' in saved(page, "CSV")


def test_bad_files_fail_alone_and_are_tried_again_together(visit, app):
    page = visit(app)
    bad = [{"name": f"bad{i}.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n"} for i in (1, 2)]
    page.set_input_files("#files", [*(picture(number) for number in range(6)), *bad])

    finished(page, "8 of 8 finished, 3 manipulated, 2 failed")
    expect(page.locator("tr[data-verdict='failed']").first).to_contain_text("Cannot be read")
    page.get_by_role("button", name="Retry all failed (2)").click()
    finished(page, "8 of 8 finished, 3 manipulated, 2 failed")


def test_a_server_that_is_gone_for_a_while_loses_none_and_analyses_none_twice(visit):
    store = fresh_store()
    app = fake_app(store=store)
    page = visit(app)
    gone = threading.Event()
    page.route("**/v1/**", lambda route: route.abort() if gone.is_set() else route.continue_())
    choose(page)
    expect(page.locator("tr[data-verdict='analysing']")).to_have_count(MANY)
    runner = app.extensions[JOBS]
    for _ in range(3):
        runner.work()
    gone.set()
    expect(page.locator(".pause")).to_contain_text("The server cannot be reached.")
    while runner.work():
        pass
    gone.clear()
    page.get_by_role("button", name="Try now").click()

    finished(page)
    assert len(store.list(owner="", limit=100)) == MANY


# Analyses as many images as the first argument says, then hangs; writes down each that it analysed.
SERVER = """
import itertools, sys, threading, types
import tamperscope.detector
from fakes import FakeDetector
from tamperscope.server import serve
from tamperscope.settings import Settings

limit, port, database, journal = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
analysed = itertools.count()

class Counting(FakeDetector):
    def analyze(self, source, **options):
        if next(analysed) >= limit:
            threading.Event().wait()
        report = super().analyze(source, **options)
        with open(journal, "a") as lines:
            print(report.image.sha256, file=lines)
        return report

tamperscope.detector.Detector = types.SimpleNamespace(load=lambda *args, **kwargs: Counting())
running = serve.start(
    Settings(port=port, database=f"sqlite:///{database}", job_lease=2), lambda line: print(line, flush=True)
)
threading.Event().wait()
"""


def test_a_server_that_is_killed_and_started_again_finishes_all_and_none_twice(visit, tmp_path):
    database, journal = tmp_path / "analyses.db", tmp_path / "journal"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}

    @contextmanager
    def server(limit: int, port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
        arguments = [sys.executable, "-c", SERVER, *map(str, (limit, port, database, journal))]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
            try:
                yield process, process.stdout.readline().split()[-1]
            finally:
                process.kill()

    with server(3, 0) as (first, address):
        page = visit(f"{address.rstrip('/')}/")
        choose(page)
        finished(page, f"3 of {MANY} finished, 2 manipulated")
        first.kill()
        first.wait()
        expect(page.locator(".pause")).to_contain_text("The server cannot be reached.")
    with server(MANY, urlsplit(address).port):
        # The page goes on by itself; "Try now" may be gone before a click.
        finished(page)

        analysed = journal.read_text().split()
        assert len(analysed) == len(set(analysed)) == MANY
        page.goto("about:blank")


def test_a_job_whose_answer_was_lost_is_not_submitted_twice(visit, app):
    page = visit(app)
    keys: list[str] = []

    def lose_first(route: Route) -> None:
        if route.request.method != "POST":
            return route.continue_()
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            return route.continue_()
        route.fetch()
        return route.abort()

    page.route(re.compile(r"/v1/jobs$"), lose_first)
    choose(page)
    page.get_by_role("button", name="Try now").click()

    finished(page)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(app.test_client().get("/v1/jobs").get_json()["jobs"]) == 1


def test_the_rest_can_be_cancelled(visit):
    app = fake_app()
    page = visit(app)
    choose(page)
    expect(page.locator("tr[data-verdict='analysing']")).to_have_count(MANY)
    app.extensions[JOBS].work()
    expect(page.locator(".standing")).to_contain_text(f"1 of {MANY} finished")
    with page.expect_response("**/cancel"):
        page.get_by_role("button", name="Cancel the rest").click()

    expect(page.locator(".batch tbody tr")).to_have_count(1)
    expect(page.get_by_role("button", name="Cancel the rest")).to_be_hidden()
    (job,) = app.test_client().get("/v1/jobs").get_json()["jobs"]
    assert job["state"] == "cancelled"
