"""Corrections of verdicts: stored with the analysis, and exported for the next calibration."""

from __future__ import annotations

import datetime
import json
from io import BytesIO

import pytest

from fakes import fake_app
from tamperscope.feedback import CorrectedAnalysis, Correction, Truth, read_feedback
from tamperscope.report import Box, ManipulationType
from tamperscope.server.middleware.keys import create_key
from tamperscope.settings import Settings

REGION = {"x": 4, "y": 5, "width": 20, "height": 10}


@pytest.fixture
def address(client, photo_png):
    sent = client.post("/v1/analyses", data={"image": (BytesIO(photo_png), "a.png")})
    return sent.headers["Location"]


def test_a_correction_is_answered_with_the_analysis_until_it_is_taken_back(client, address):
    told = {"truth": "manipulated", "type": "face", "region": REGION}

    assert client.get(address).get_json()["feedback"] is None
    assert client.put(f"{address}/feedback", json=told).get_json() == told
    assert client.get(address).get_json()["feedback"] == told
    assert client.get(f"{address}/report.json").get_json()["feedback"] == told
    assert client.delete(f"{address}/feedback").status_code == 204
    assert client.get(address).get_json()["feedback"] is None


def test_the_export_is_what_a_calibration_reads(client, address, tmp_path):
    client.put(f"{address}/feedback", json={"truth": "manipulated", "type": "face", "region": REGION})
    exported = client.get("/v1/feedback")
    (tmp_path / "feedback.jsonl").write_bytes(exported.data)

    assert exported.mimetype == "application/jsonl"
    (corrected,) = read_feedback(tmp_path / "feedback.jsonl")
    analysis = client.get(address).get_json()
    assert corrected.correction == Correction(Truth.MANIPULATED, ManipulationType.FACE, Box(**REGION))
    assert (corrected.measurements, corrected.pixels) == (analysis["measurements"], 96 * 64)
    assert corrected.networks == analysis["bundle"]["networks"]


@pytest.mark.parametrize(
    "told",
    [
        {"truth": "perhaps"},
        {"truth": "authentic", "type": "face"},
        {"truth": "authentic", "region": REGION},
        {"truth": "manipulated", "region": {**REGION, "width": 0}},
        {"truth": "manipulated", "kind": "face"},
        {"truth": "manipulated", "region": {**REGION, "x": 10**30}},
        {},
    ],
)
def test_other_words_are_refused(client, address, told):
    assert client.put(f"{address}/feedback", json=told).status_code == 400
    assert client.get("/v1/feedback").data == b""


def test_each_key_has_its_own(photo_png, tmp_path):
    keys = tmp_path / "keys.json"
    ours, theirs = (
        {"Authorization": f"Bearer {create_key(keys, name, admin=False, today=datetime.date(2026, 1, 31))}"}
        for name in ("ours", "theirs")
    )
    client = fake_app(Settings(keys=keys)).test_client()
    sent = client.post("/v1/analyses", data={"image": (BytesIO(photo_png), "a.png")}, headers=ours)
    feedback = sent.headers["Location"] + "/feedback"

    assert client.put(feedback, json={"truth": "authentic"}, headers=theirs).status_code == 404
    assert client.put(feedback, json={"truth": "authentic"}, headers=ours).status_code == 200
    assert client.get("/v1/feedback", headers=theirs).data == b""
    assert len(client.get("/v1/feedback", headers=ours).data.splitlines()) == 1


def test_the_last_correction_of_an_image_counts(tmp_path):
    lines = [
        CorrectedAnalysis(Correction(truth), {"clones": 1.0}, 1024, "PNG", "n", False, "ab" * 32)
        for truth in (Truth.AUTHENTIC, Truth.MANIPULATED)
    ]
    (tmp_path / "feedback.jsonl").write_text("\n".join(json.dumps(line.to_json()) for line in lines))

    assert read_feedback(tmp_path / "feedback.jsonl") == (lines[1],)
