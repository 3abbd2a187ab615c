from __future__ import annotations

import numpy as np
import pytest

import samples


@pytest.mark.parametrize("image_format", ["HEIF", "TIFF", "PNG"])
def test_a_file_that_browsers_cannot_show_is_returned_as_a_jpeg(post, image_format):
    pixels = samples.photo(160, 120)
    answer = post("/v1/preview", samples.encode(pixels, image_format))

    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert np.abs(samples.decode(answer.data).astype(int) - pixels).mean() < 8


def test_it_shows_what_lies_under_transparency_as_the_analysis_does(post):
    clear = np.zeros((64, 64, 4), np.uint8)
    assert samples.decode(post("/v1/preview", samples.encode(clear, "PNG")).data).min() > 250


def test_it_is_large_enough_to_look_closely_and_no_larger(post):
    large = samples.encode(samples.photo(3000, 1000), "PNG")

    assert samples.decode(post("/v1/preview", large).data).shape == (683, 2048, 3)


def test_nothing_is_stored(client, post, photo_png):
    post("/v1/preview", photo_png)

    assert client.get("/v1/analyses").get_json()["analyses"] == []


def test_a_damaged_file_gets_the_reason(post):
    assert post("/v1/preview", b"\x89PNG\r\n\x1a\n").status_code == 422
