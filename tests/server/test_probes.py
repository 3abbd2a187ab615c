from __future__ import annotations

import pytest

from fakes import IDENTITY, FakeDetector
from tamperscope.server.app import SERVICE, create_app
from tamperscope.server.settings import Settings


def test_ready_only_after_the_warm_up():
    app = create_app(Settings(), FakeDetector())
    client = app.test_client()

    before = client.get("/ready")
    app.extensions[SERVICE].warm_up()
    after = client.get("/ready")

    assert (before.status_code, before.mimetype) == (503, "application/problem+json")
    assert int(before.headers["Retry-After"]) > 0
    assert (after.status_code, after.get_json()["bundle"]["name"]) == (200, IDENTITY.name)


def test_the_index_lists_what_can_be_asked(client):
    listed = {(entry["method"], entry["path"]) for entry in client.get("/").get_json()["endpoints"]}

    assert listed >= {("POST", "/segment"), ("POST", "/classify"), ("GET", "/health"), ("GET", "/ready")}


def test_each_request_has_an_id_of_its_own_and_one_log_line(client, caplog):
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
def test_an_id_that_is_none_is_replaced(client, given):
    response = client.get("/health", headers={"X-Request-Id": given.encode("latin-1").decode("latin-1")})

    assert response.headers["X-Request-Id"] != given


def test_nobody_can_write_log_lines_of_their_own(client, caplog):
    caplog.set_level("INFO", logger="tamperscope")

    client.get("/x%0A2026-01-01 ERROR forged")

    assert "\n" not in caplog.records[-1].getMessage()
