from __future__ import annotations

from io import BytesIO

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fakes import IDENTITY, fake_app
from tamperscope.settings import Settings


def samples_of(client) -> dict[tuple[str, frozenset], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def value(client, name: str, /, **labels: str) -> float | None:
    return samples_of(client).get((name, frozenset(labels.items())))


def test_answers_are_counted_by_endpoint_and_status(client, post, photo_png):
    post("/classify", photo_png)
    post("/classify", photo_png)
    post("/segment", b"text")

    counted = "tamperscope_requests_total"
    assert value(client, counted, method="POST", endpoint="/classify", status="200") == 2
    assert value(client, counted, method="POST", endpoint="/segment", status="415") == 1
    assert value(client, "tamperscope_request_seconds_count", endpoint="/classify") == 2


@pytest.mark.parametrize("stage", ["wait", "decode", "inference", "encode"])
def test_each_stage_of_an_analysis_is_timed(client, post, photo_png, stage):
    post("/segment", photo_png)

    assert value(client, "tamperscope_stage_seconds_count", stage=stage) == 1


def test_refusals_are_counted_by_reason(client, post):
    post("/segment", b"text")
    post("/segment", b"")
    client.get("/nowhere")

    reasons = {
        dict(labels)["reason"]: count
        for (name, labels), count in samples_of(client).items()
        if name == "tamperscope_refusals_total"
    }
    assert reasons == {"unsupported-image": 1, "no-image": 1, "not-found": 1}


def test_the_bundle_and_an_empty_queue_are_shown(client):
    assert value(client, "tamperscope_bundle_info", name="fake", version="1", sha256=IDENTITY.sha256) == 1
    assert value(client, "tamperscope_device_info", device="cpu") == 1
    assert value(client, "tamperscope_queue_depth") == 0
    assert value(client, "tamperscope_analyses_running") == 0


def test_a_client_cannot_create_time_series(client):
    client.get("/metrics")
    before = len(samples_of(client))
    for number in range(20):
        client.get(f"/{number}")
        client.open("/health", method=f"METHOD{number}")
    after = len(samples_of(client))

    assert after - before < 40


def test_two_servers_in_one_process_have_separate_metrics(client, post, photo_png):
    post("/classify", photo_png)

    other = fake_app(Settings()).test_client()
    other.post("/segment", data={"image": (BytesIO(photo_png), "a.png")})
    assert value(other, "tamperscope_stage_seconds_count", stage="inference") == 1
