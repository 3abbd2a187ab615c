"""The OpenAPI document agrees with the API."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path

import jsonschema
import pytest

from tamperscope.server.openapi import document

COPY = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture
def described(client):
    return client.get("/openapi.json").get_json()


def check(described, model: str, answer: object) -> None:
    schemas = {"$ref": f"#/components/schemas/{model}", "components": described["components"]}
    jsonschema.Draft202012Validator(schemas).validate(answer)


def test_the_copy_in_the_repository_is_up_to_date(client):
    assert json.loads(COPY.read_text()) == document(client.application), "generate it again with: make docs"


def test_it_describes_what_the_index_lists(client, described):
    listed = {
        (entry["method"].lower(), entry["path"])
        for entry in client.get("/", headers={"Accept": "application/json"}).get_json()["endpoints"]
    }

    assert {(method, path) for path, item in described["paths"].items() for method in item} == listed


def test_the_answers_match_the_document(described, post, photo_png):
    for path, model in (("/segment", "SegmentAnswer"), ("/classify", "ClassifyAnswer")):
        schema = described["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{model}"}
        check(described, model, post(path, photo_png).get_json())


@pytest.mark.parametrize("path", ["/segment", "/classify"])
def test_the_problems_match_the_document(described, client, path):
    for body in (b"", b"text", b"\x89PNG"):
        response = client.post(path, data={"image": (BytesIO(body), "a.png")})
        problems = described["paths"][path]["post"]["responses"]
        assert "application/problem+json" in problems[str(response.status_code)]["content"]
        check(described, "Problem", response.get_json(force=True))


def test_a_wrong_answer_would_be_noticed(described, post, photo_png):
    answer = post("/classify", photo_png).get_json() | {"class_name": "collage"}

    with pytest.raises(jsonschema.ValidationError):
        check(described, "ClassifyAnswer", answer)


def test_the_page_loads_nothing_from_other_servers(client):
    page = client.get("/docs")
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert len(parts) == 3
    for part in parts:
        assert client.get(f"/{part}").status_code == 200, part
    assert client.get("/docs/swagger-ui.css.map").status_code == 404
