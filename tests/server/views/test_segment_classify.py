"""The contract with existing front ends: endpoints, form field, keys and pixels."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import numpy as np
import PIL.Image
import pytest

import samples

TURN_RIGHT_TO_SEE = 6


def picture(encoded: str) -> PIL.Image.Image:
    return PIL.Image.open(BytesIO(b64decode(encoded, validate=True)))


@pytest.fixture
def turned_jpeg(photo):
    return samples.encode(photo, "JPEG", exif=samples.exif_orientation(TURN_RIGHT_TO_SEE))


def test_segment_answers_with_three_png_pictures_of_the_upright_size(post, turned_jpeg):
    answer = post("/segment", turned_jpeg).get_json()

    assert (answer["width"], answer["height"]) == (64, 96)
    for key, mode in (("mask", "L"), ("overlay", "RGB"), ("masked_image", "RGB")):
        decoded = picture(answer[key])
        assert (decoded.format, decoded.mode, decoded.size) == ("PNG", mode, (64, 96)), key


def test_segment_pictures_agree_with_each_other_and_with_the_original(post, photo, photo_png):
    answer = post("/segment", photo_png).get_json()

    original = np.asarray(photo).astype(int)
    mask, overlay, masked = (
        np.asarray(picture(answer[key])).astype(int) for key in ("mask", "overlay", "masked_image")
    )
    assert set(np.unique(mask)) == {0, 255}
    inside = mask == 255
    assert np.array_equal(overlay[~inside], original[~inside])
    assert np.array_equal(masked[inside], original[inside])
    assert not masked[~inside].any()
    green = np.array([0, 255, 0])
    assert np.all(np.abs(overlay[inside] - green) <= np.abs(original[inside] - green))
    assert np.any(overlay[inside] != original[inside], axis=1).all()


def test_segment_of_an_authentic_image_is_an_empty_mask_and_an_untouched_overlay(post, photo):
    without_red = PIL.Image.fromarray(np.asarray(photo) * np.array([0, 1, 1], np.uint8))

    answer = post("/segment", samples.encode(without_red, "PNG")).get_json()

    assert answer["verdict"] == "authentic"
    assert not np.asarray(picture(answer["mask"])).any()
    assert np.array_equal(np.asarray(picture(answer["overlay"])), np.asarray(without_red))


def test_classify_names_the_most_probable_type(post, photo_png):
    answer = post("/classify", photo_png).get_json()

    assert (answer["class_id"], answer["class_name"], answer["confidence"]) == (1, "copymove", 0.5)
    assert answer["scores"] == {"splicing": 0.125, "copymove": 0.5, "inpainting": 0.25, "face": 0.125}
    assert (answer["manipulation_score"], answer["verdict"]) == (0.9, "manipulated")


@pytest.mark.parametrize("path", ["/segment", "/classify"])
def test_answers_are_json_and_state_their_limits(post, photo_png, path):
    response = post(path, photo_png)

    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.get_json()["notes"] == ["found by a fake"]


@pytest.mark.parametrize("path", ["/segment", "/classify"])
def test_answers_say_that_only_one_of_several_pages_was_analysed(post, photo, path):
    pages = samples.encode(photo, "TIFF", save_all=True, append_images=[photo])

    assert post(path, pages).get_json()["notes"] == ["found by a fake", "first of 2 pages"]


def test_other_form_fields_and_files_are_ignored(client, photo_png):
    form = {"image": (BytesIO(photo_png), "a.png"), "extra": (BytesIO(b"x"), "b.txt"), "comment": "hello"}

    assert client.post("/classify", data=form).status_code == 200


def test_files_larger_than_a_read_buffer_are_accepted(post):
    noise = np.random.default_rng(5).integers(0, 256, (250, 300, 3), dtype=np.uint8)
    data = samples.encode(noise, "PNG", compress_level=0)
    assert len(data) > 3 * 64 * 1024

    assert post("/classify", data).status_code == 200


@pytest.mark.parametrize("include", ["mask", "overlay,mask"])
def test_only_the_requested_pictures_are_sent(client, photo_png, include):
    form = {"image": (BytesIO(photo_png), "a.png")}

    answer = client.post(f"/segment?include={include}", data=form).get_json()

    assert {"mask", "overlay", "masked_image"} & set(answer) == set(include.split(","))
    assert answer["verdict"] == "manipulated"


@pytest.mark.parametrize("include", ["", "heatmap", "mask,,overlay"])
def test_unknown_pictures_are_refused(client, photo_png, include):
    response = client.post(f"/segment?include={include}", data={"image": (BytesIO(photo_png), "a.png")})

    assert response.status_code == 400
    assert "mask, overlay, masked_image" in response.get_json(force=True)["detail"]


def test_the_raw_mask_when_only_png_is_accepted(client, photo_png):
    def segment(accept: str):
        form = {"image": (BytesIO(photo_png), "a.png")}
        return client.post("/segment", data=form, headers={"Accept": accept})

    raw = segment("image/png")

    assert raw.mimetype == "image/png"
    assert raw.data == b64decode(segment("*/*").get_json()["mask"])
    assert segment("text/html,image/*;q=0.8,*/*;q=0.9").mimetype == "application/json"
