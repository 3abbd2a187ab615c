from __future__ import annotations

from io import BytesIO

import pytest

from fakes import fake_app
from tamperscope.settings import Settings

PAGE = "https://news.example"


def client_for(*origins: str):
    return fake_app(Settings(cors_origins=origins)).test_client()


def preflight(client, path: str, origin: str = PAGE):
    return client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})


@pytest.mark.parametrize("path", ["/segment", "/classify"])
def test_any_page_may_call_the_two_endpoints_by_default(client, path):
    response = preflight(client, path)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/v1/analyses"])
def test_no_page_may_read_the_other_endpoints(client, path):
    assert "Access-Control-Allow-Origin" not in client.get(path, headers={"Origin": PAGE}).headers


def test_a_page_can_read_answers_and_refusals(client, photo_png):
    for data, status in ((photo_png, 200), (b"text", 415)):
        response = client.post(
            "/classify", data={"image": (BytesIO(data), "a.png")}, headers={"Origin": PAGE}
        )

        assert response.status_code == status
        assert "Access-Control-Allow-Origin" in response.headers
        assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]


def test_only_the_configured_pages_may_call():
    client = client_for(PAGE, "http://localhost:3000")

    assert preflight(client, "/segment").headers["Access-Control-Allow-Origin"] == PAGE
    for stranger in ("https://evil.example", "https://news.example.evil.example", "https://newsXexample"):
        assert "Access-Control-Allow-Origin" not in preflight(client, "/segment", stranger).headers


def test_stored_analyses_are_open_only_to_the_configured_pages():
    client = client_for(PAGE)

    for origin, allowed in ((PAGE, PAGE), ("https://evil.example", None)):
        answer = client.get("/v1/analyses", headers={"Origin": origin})
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert "DELETE" in preflight(client, f"/v1/analyses/{'0' * 32}").headers["Access-Control-Allow-Methods"]


def test_no_page_may_call_without_configured_origins():
    assert "Access-Control-Allow-Origin" not in preflight(client_for(), "/segment").headers
