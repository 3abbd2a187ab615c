"""Two versions of a picture, sent together."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest

import samples
from fakes import fake_app
from tamperscope.settings import Settings

SCENE = samples.photo(240, 160)


def versions(
    first: np.ndarray, second: np.ndarray, image_format: str = "PNG"
) -> dict[str, tuple[BytesIO, str]]:
    return {
        name: (BytesIO(samples.encode(pixels, image_format)), "secret.png")
        for name, pixels in (("image", first), ("other", second))
    }


def test_the_differences_are_in_pixels_of_the_first_picture(client):
    large = cv2.resize(SCENE, (2400, 1600), interpolation=cv2.INTER_CUBIC)
    altered = large.copy()
    altered[400:800, 1200:1800] = (250, 20, 20)
    found = client.post("/v1/compare", data=versions(large, altered, "JPEG")).get_json()

    assert found["aligned"] is True
    assert np.array(found["matrix"]) == pytest.approx(np.eye(2, 3), abs=0.5)
    (difference,) = found["differences"]
    xs, ys = zip(*difference["polygon"], strict=True)
    assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((1200, 400, 1800, 800), abs=15)
    assert (difference["label"], difference["place"]) == ("D1", "centre")
    assert found["finding"] == "Both pictures show the same scene. 1 region differs: in the centre."


def test_other_scenes_are_told(client):
    found = client.post("/v1/compare", data=versions(SCENE, SCENE[:40, :40])).get_json()

    assert (found["aligned"], found["matrix"], found["differences"]) == (False, None, [])
    assert "could not be laid over each other" in found["finding"]


def test_nothing_is_stored(client):
    client.post("/v1/compare", data=versions(SCENE, SCENE))

    assert client.get("/v1/analyses").get_json()["analyses"] == []


def test_each_picture_may_be_as_large_as_an_analysed_one():
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    size = len(samples.encode(noise, "PNG"))
    client = fake_app(Settings(max_bytes=size)).test_client()

    assert client.post("/v1/compare", data=versions(noise, noise)).status_code == 200
    larger = np.random.default_rng(1).integers(0, 256, (80, 80, 3), np.uint8)
    assert client.post("/v1/compare", data=versions(noise, larger)).status_code == 413


def test_one_picture_alone_is_refused(client):
    sent = versions(SCENE, SCENE)
    del sent["other"]
    refused = client.post("/v1/compare", data=sent)

    assert refused.status_code == 400
    assert "'other'" in refused.get_json(force=True)["detail"]
