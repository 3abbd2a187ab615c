from __future__ import annotations

import numpy as np
import pytest

import samples
from tamperscope.evidence import jpeg_ghosts
from tamperscope.images import read_image

REGION = slice(96, 224), slice(128, 288)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_paste_of_lower_quality_has_a_ghost(image_format: str) -> None:
    picture = samples.scene()
    picture[REGION] = samples.decode(samples.encode(samples.scene(seed=1), quality=62))[REGION]
    options = {"quality": 93} if image_format == "JPEG" else {}
    evidence = jpeg_ghosts.measure(read_image(samples.encode(picture, image_format, **options)))
    truth = np.zeros((384, 512), bool)
    truth[REGION] = True
    assert evidence.notable
    assert evidence.map is not None
    assert evidence.map[truth].mean() > 0.8
    assert evidence.map[~truth].mean() < 0.2


def test_every_second_block_of_a_large_picture_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = samples.scene(1050, 782)
    region = slice(192, 448), slice(256, 576)
    picture[region] = samples.decode(samples.encode(samples.scene(1050, 782, seed=1), quality=62))[region]
    truth = np.zeros(picture.shape[:2], bool)
    truth[region] = True
    monkeypatch.setattr(jpeg_ghosts, "MOST_PIXELS", truth.size // 4)
    evidence = jpeg_ghosts.measure(read_image(picture))
    assert evidence.notable
    assert evidence.map is not None
    assert evidence.map.shape == truth.shape
    assert evidence.map[truth].mean() > 0.8
    assert evidence.map[~truth].mean() < 0.2


def test_a_never_compressed_paste_lacks_the_ghost_of_the_rest() -> None:
    picture = samples.decode(samples.encode(samples.scene(), quality=70)).copy()
    picture[REGION] = samples.scene(seed=1)[REGION]
    evidence = jpeg_ghosts.measure(read_image(samples.encode(picture, quality=92)))
    assert evidence.notable


@pytest.mark.parametrize("quality", [60, 75, 90])
def test_a_plain_jpeg_has_no_ghost(quality: int) -> None:
    evidence = jpeg_ghosts.measure(read_image(samples.encode(samples.scene(), quality=quality)))
    assert evidence.applicable
    assert not evidence.notable


def test_a_picture_compressed_twice_as_a_whole_has_no_ghost() -> None:
    once = samples.decode(samples.encode(samples.scene(), quality=70))
    evidence = jpeg_ghosts.measure(read_image(samples.encode(once, quality=92)))
    assert not evidence.notable


def test_small_pictures_cannot_be_compared() -> None:
    assert not jpeg_ghosts.measure(read_image(samples.scene(100, 100))).applicable
