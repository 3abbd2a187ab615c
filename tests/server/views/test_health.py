from __future__ import annotations

import io
import json
import logging
from contextlib import contextmanager

import pytest

from fakes import IDENTITY, FakeDetector, fake_app, unready_app
from tamperscope.server import logs
from tamperscope.server.app import controls


def test_ready_only_once_the_model_is_loaded():
    app = unready_app(FakeDetector)
    client = app.test_client()

    before = client.get("/ready")
    controls(app).reload()
    after = client.get("/ready")

    assert (before.status_code, before.mimetype) == (503, "application/problem+json")
    assert int(before.headers["Retry-After"]) > 0
    assert (after.status_code, after.get_json()["bundle"]["name"]) == (200, IDENTITY.name)
    assert after.get_json()["device"] == "cpu"


def test_the_index_lists_the_endpoints(client):
    listed = {
        (entry["method"], entry["path"])
        for entry in client.get("/", headers={"Accept": "application/json"}).get_json()["endpoints"]
    }

    assert listed >= {("POST", "/segment"), ("POST", "/classify"), ("GET", "/health"), ("GET", "/ready")}


def test_each_request_has_a_unique_id_and_one_log_line(client, caplog):
    caplog.set_level("INFO", logger="tamperscope")

    ids = [client.get("/health").headers["X-Request-Id"] for _ in range(2)]

    assert len(set(ids)) == 2
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[:3] for line in lines] == [["GET", "/health", "200"]] * 2
    assert [line.split()[-1] for line in lines] == ids


def test_an_id_given_by_the_caller_is_kept(client):
    response = client.get("/health", headers={"X-Request-Id": "case-42.a"})

    assert response.headers["X-Request-Id"] == "case-42.a"


@pytest.mark.parametrize("given", ["two words", "x" * 65, "ä", "<script>"])
def test_an_invalid_id_is_replaced(client, given):
    response = client.get("/health", headers={"X-Request-Id": given.encode("latin-1").decode("latin-1")})

    assert response.headers["X-Request-Id"] != given


def test_a_client_cannot_forge_log_lines(client, caplog):
    caplog.set_level("INFO", logger="tamperscope")

    client.get("/x%0A2026-01-01 ERROR forged")

    assert "\n" not in caplog.records[-1].getMessage()


def test_json_lines_carry_the_request_id_and_no_secrets(client, post, photo_png):
    stream = io.StringIO()
    with json_log(stream):
        post("/classify", photo_png, filename="secret.jpg")
        client.get("/health?secret=1", headers={"X-Request-Id": "case-42"})
        post("/classify", b"text")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/classify", 200), ("GET", "/health", 200), ("POST", "/classify", 415),
    ]  # fmt: skip
    assert lines[1]["request_id"] == "case-42"
    assert lines[2]["refusal"] == "unsupported-image"
    assert "secret" not in stream.getvalue()


def test_a_failure_is_logged_with_its_request(photo_png):
    class Broken(FakeDetector):
        def analyze(self, source, **_):
            raise RuntimeError("broken inside")

    client = fake_app(detector=Broken()).test_client()
    stream = io.StringIO()
    with json_log(stream):
        form = {"image": (io.BytesIO(photo_png), "a.png")}
        client.post("/classify", data=form, headers={"X-Request-Id": "case-43"})

    failure, answered = (json.loads(line) for line in stream.getvalue().splitlines())
    assert failure["request_id"] == answered["request_id"] == "case-43"
    assert "broken inside" in failure["exception"]
    assert (failure["level"], answered["status"]) == ("error", 500)


@contextmanager
def json_log(stream):
    handler = logs.handler("json", stream)
    logger = logging.getLogger("tamperscope")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel("NOTSET")
