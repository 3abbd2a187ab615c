from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import samples
from tamperscope.evidence.metadata.comparison import Preview, compare, picture_of
from tamperscope.images import read_image


def landscape(seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture with large and small shapes, (320, 480, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 236, (8, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (480, 320), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        x, y, size = int(rng.integers(0, 460)), int(rng.integers(0, 300)), int(rng.integers(8, 40))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(picture, (x, y), (x + size, y + size), colour, -1)
    return picture


PICTURE = landscape()


def small(picture: NDArray[np.uint8] = PICTURE, width: int = 160) -> NDArray[np.uint8]:
    height = round(width * picture.shape[0] / picture.shape[1])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def compared(stored: NDArray[np.uint8], picture: NDArray[np.uint8] = PICTURE) -> Preview:
    return compare(read_image(picture), "EXIF", np.ascontiguousarray(stored))


def barred(top: int, bottom: int, left: int, right: int, level: int = 0) -> NDArray[np.uint8]:
    return np.pad(small(), ((top, bottom), (left, right), (0, 0)), constant_values=level)


def sharpened(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.addWeighted(picture, 1.8, cv2.GaussianBlur(picture, (0, 0), 1), -0.8, 0), np.uint8)


HONEST = {
    **{f"turned {turns} times": np.rot90(small(), turns) for turns in range(4)},
    **{f"mirrored and turned {turns} times": np.rot90(small()[:, ::-1], turns) for turns in range(4)},
    "bars above and below": barred(7, 7, 0, 0),
    "uneven bars": barred(2, 14, 0, 0),
    "a bar on the left": barred(0, 0, 20, 0),
    "grey bars": barred(8, 8, 0, 0, level=128),
    "a crop": small(PICTURE[:, 40:440]),
    "an uneven crop": small(PICTURE[10:310, 90:470]),
    "stretched": cv2.resize(PICTURE, (160, 120), interpolation=cv2.INTER_AREA),
    "sharpened": sharpened(small()),
    "brighter": cv2.LUT(small(), (255 * (np.arange(256) / 255) ** 0.7).astype(np.uint8)),
    "flatter": (0.6 * small() + 40).astype(np.uint8),
    "compressed": samples.decode(samples.encode(small(), quality=40)),
    "very small": small(width=80),
}


@pytest.mark.parametrize("stored", HONEST.values(), ids=HONEST.keys())
def test_a_preview_of_the_same_picture_does_not_differ(stored: NDArray[np.uint8]) -> None:
    found = compared(stored)

    assert found.same
    assert not found.differs


def test_a_plain_wall_beside_a_bar_is_part_of_the_picture() -> None:
    chart = np.full((320, 480, 3), 220, np.uint8)
    chart[40:314, 20:460] = 30
    chart[56:294, 40:440] = PICTURE[56:294, 40:440]
    stored = np.pad(small(chart), ((7, 7), (0, 0), (0, 0)))

    found = compared(stored, chart)

    assert found.likeness > 0.99
    assert not found.differs


def test_fine_stripes_may_be_drawn_differently() -> None:
    striped = PICTURE.copy()
    rows = np.arange(120) % 8 < 4
    striped[100:220, 200:330] = np.where(rows, 250, 5).astype(np.uint8)[:, None, None]
    aliased = np.ascontiguousarray(striped[::3, ::3])

    assert not compared(aliased, striped).differs


@pytest.mark.parametrize("stored", [small(), np.rot90(small()), barred(8, 8, 0, 0), sharpened(small())])
def test_what_was_changed_since_is_found_where_it_is(stored: NDArray[np.uint8]) -> None:
    forged = PICTURE.copy()
    forged[120:180, 200:280] = landscape(1)[:60, :80]

    found = compared(stored, forged)

    assert found.same
    assert found.changed[130:170, 210:270].mean() > 0.3
    assert found.changed[:100].sum() == 0


def test_another_picture_differs() -> None:
    assert not compared(small(landscape(2))).same


def test_a_picture_that_was_cropped_shows_less_than_its_preview() -> None:
    found = compared(small(), PICTURE[60:260, 120:420])

    assert found.same
    assert found.wider
    assert found.shown == pytest.approx(200 * 300 / (320 * 480), abs=0.08)


@pytest.mark.parametrize("stored", [np.zeros((40, 60, 3), np.uint8), np.full((16, 16, 3), 128, np.uint8)])
def test_a_plain_preview_is_compared_without_an_error(stored: NDArray[np.uint8]) -> None:
    assert not compared(stored).same


def test_a_large_preview_is_shown_small() -> None:
    """Pictures of two megapixels fit into a preview, and would make an answer of megabytes."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1600, 3), dtype=np.uint8)

    assert len(picture_of(compared(noise, noise))) < 1_300_000
