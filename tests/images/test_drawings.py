"""Drawings are told apart from photos."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from samples import decode, encode, scene, writing
from tamperscope.images.drawings import is_filled, is_framed, plain


def is_drawn(picture: NDArray[np.uint8]) -> bool:
    return is_filled(picture) or is_framed(picture)


def clipped_sky() -> NDArray[np.uint8]:
    picture = scene()
    rows, columns = np.indices(picture.shape[:2])
    picture[rows < 200 + columns / 20] = 255
    return picture


def photo_on_a_page() -> NDArray[np.uint8]:
    page = np.full((480, 640, 3), 250, np.uint8)
    page[60:360, 80:480] = scene()[:300, :400]
    return page


def dark(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(40 + (255 - picture.astype(np.uint16)) * 4 // 5, np.uint8)


@pytest.mark.parametrize("quality", [None, 95, 75, 50])
@pytest.mark.parametrize("picture", [writing(), dark(writing())], ids=["light", "dark"])
def test_writing_is_drawn(picture: NDArray[np.uint8], quality: int | None) -> None:
    assert is_drawn(picture if quality is None else decode(encode(picture, quality=quality)))


def test_writing_that_a_messenger_scaled_and_compressed_is_drawn() -> None:
    smaller = cv2.resize(writing(480), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    assert is_drawn(decode(encode(np.asarray(smaller), quality=80)))


@pytest.mark.parametrize("quality", [None, 75, 30])
@pytest.mark.parametrize("picture", [scene(), clipped_sky()], ids=["all over", "clipped sky"])
def test_a_photo_is_not_drawn(picture: NDArray[np.uint8], quality: int | None) -> None:
    assert not is_drawn(picture if quality is None else decode(encode(picture, quality=quality)))


@pytest.mark.parametrize("quality", [None, 90, 70])
def test_a_page_with_a_photo_is_drawn(quality: int | None) -> None:
    page = photo_on_a_page()
    assert is_drawn(page if quality is None else decode(encode(page, quality=quality)))


def test_a_plain_page_needs_few_frames() -> None:
    page = np.full((480, 640, 3), 250, np.uint8)
    page[:80, :100] = scene()[:80, :100]
    assert not is_filled(page)
    assert is_framed(page)


def test_a_photo_that_lies_askew_on_plain_colour_does_not_make_a_page() -> None:
    turned = cv2.getRotationMatrix2D((320, 240), 5, 1)
    askew = cv2.warpAffine(photo_on_a_page(), turned, (640, 480), borderValue=(250, 250, 250))
    assert not is_drawn(np.asarray(askew, np.uint8))


def test_large_screenshots_are_recognised_too() -> None:
    assert is_drawn(np.asarray(cv2.resize(photo_on_a_page(), (3200, 2400), interpolation=cv2.INTER_NEAREST)))


def test_plain_is_where_no_neighbour_differs_by_more_than_a_level() -> None:
    gray = np.full((7, 7), 100, np.uint8)
    gray[:, 6] = 101
    assert plain(gray).all()
    gray[3, 3] = 102
    np.testing.assert_array_equal(~plain(gray)[1:6, 1:6], np.pad(np.ones((3, 3), bool), 1))
