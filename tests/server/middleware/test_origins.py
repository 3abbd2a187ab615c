"""The names a server answers to, and the pages that may change something on it."""

from __future__ import annotations

import datetime
from io import BytesIO

import pytest

from fakes import fake_app
from tamperscope.server.app import controls
from tamperscope.server.middleware.keys import create_key
from tamperscope.settings import Settings

STRANGE = [
    "evil.example:5000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "127.0.0.1, evil.example",
    "",
]
OWN = ["127.0.0.1:5000", "localhost", "LOCALHOST:5000", "[::1]:5000", "192.168.0.7", "page.localhost:80"]
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
]


def image(photo_png: bytes) -> dict[str, object]:
    return {"image": (BytesIO(photo_png), "a.png")}


def client_for(**settings: object):
    return fake_app(Settings(**settings)).test_client()


@pytest.mark.parametrize("host", STRANGE)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/analyses"), ("GET", "/metrics"), ("DELETE", f"/v1/analyses/{'0' * 32}")],
)
def test_nothing_is_read_or_deleted_under_another_name(client, host, method, path):
    refused = client.open(path, method=method, headers={"Host": host})

    assert (refused.status_code, refused.mimetype) == (421, "application/problem+json")
    assert "--hosts" in refused.get_json()["detail"]


@pytest.mark.parametrize("host", OWN)
def test_the_servers_own_names_and_addresses_are_answered(client, host):
    assert client.get("/v1/analyses", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        (("news.example",), "news.example:8000", 200),
        (("news.example",), "a.news.example", 421),
        ((".news.example",), "a.news.example", 200),
        ((".news.example",), "evilnews.example", 421),
        (("*",), "anything.example", 200),
    ],
)
def test_an_operator_names_further_hosts(hosts, host, status):
    assert client_for(hosts=hosts).get("/v1/analyses", headers={"Host": host}).status_code == status


def test_the_host_of_the_setting_is_answered():
    assert client_for(host="scanner").get("/v1/jobs", headers={"Host": "scanner:5000"}).status_code == 200


def test_the_host_of_a_tunnel_is_answered():
    app = fake_app()
    controls(app).allow_host("abc.ngrok.example")

    assert app.test_client().get("/v1/jobs", headers={"Host": "abc.ngrok.example"}).status_code == 200


@pytest.mark.parametrize("page", FOREIGN)
def test_a_foreign_page_changes_nothing(client, photo_png, page):
    asked = [
        client.post("/v1/analyses", data=image(photo_png), headers=page),
        client.post("/v1/jobs", data=image(photo_png), headers=page),
        client.post(f"/v1/jobs/{'0' * 32}/cancel", headers=page),
        client.delete(f"/v1/analyses/{'0' * 32}", headers=page),
    ]

    assert [answer.status_code for answer in asked] == [403] * 4
    assert client.get("/v1/analyses").get_json()["analyses"] == []


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        # Behind a proxy that passes another host on.
        {"Origin": "https://tamperscope.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_programs_and_the_servers_own_page_may_write(client, photo_png, page):
    assert client.post("/v1/analyses", data=image(photo_png), headers=page).status_code == 201


@pytest.mark.parametrize("path", ["/segment", "/classify"])
@pytest.mark.parametrize("page", FOREIGN)
def test_the_original_endpoints_stay_open_to_every_page_under_every_name(client, photo_png, path, page):
    headers = {**page, "Host": "abc.ngrok.example"}

    assert client.post(path, data=image(photo_png), headers=headers).status_code == 200


def test_listed_origins_may_write_and_others_may_not():
    client = client_for(cors_origins=("https://news.example",))

    for origin, status in (("https://news.example", 404), ("https://evil.example", 403)):
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert client.delete(f"/v1/analyses/{'0' * 32}", headers=headers).status_code == status
        assert client.post("/classify", headers=headers).status_code == (400 if status == 404 else 403)


def test_a_key_is_permission_enough(tmp_path, photo_png):
    key = create_key(tmp_path / "keys.json", "a", admin=False, today=datetime.date(2026, 1, 31))
    headers = {"Origin": "https://evil.example", "Authorization": f"Bearer {key}"}

    client = client_for(keys=tmp_path / "keys.json")

    assert client.post("/v1/analyses", data=image(photo_png), headers=headers).status_code == 201


@pytest.mark.parametrize("path", ["/v1//analyses", "//v1/analyses/", "/health/"])
def test_no_address_is_redirected(client, path):
    assert client.get(path, headers={"Host": "127.0.0.1"}).status_code == 404
