from __future__ import annotations

import numpy as np
import pytest

import samples
from tamperscope.evidence import double_jpeg
from tamperscope.images import ImageLimits, read_image

REGION = slice(96, 272), slice(128, 320)


def forged() -> np.ndarray:
    """A picture compressed once at quality 60, with a paste that was never compressed."""
    picture = samples.decode(samples.encode(samples.scene(), quality=60)).copy()
    picture[REGION] = samples.scene(seed=1)[REGION]
    return picture


def test_a_never_compressed_paste_is_found() -> None:
    evidence = double_jpeg.measure(read_image(samples.encode(forged(), quality=90)))
    truth = np.zeros((384, 512), bool)
    truth[REGION] = True
    assert evidence.notable
    assert evidence.map is not None
    assert evidence.map[truth].mean() > 0.9
    assert evidence.map[~truth].mean() < 0.1


@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_map_lies_over_the_upright_picture(orientation: int) -> None:
    straight = double_jpeg.measure(read_image(samples.encode(forged()[:-3, :-5], quality=90)))
    exif = samples.exif_orientation(orientation)
    turned = read_image(samples.encode(forged()[:-3, :-5], quality=90, exif=exif))
    evidence = double_jpeg.measure(turned)
    assert evidence.map is not None
    assert straight.map is not None
    assert np.array_equal(turned.stored(evidence.map), straight.map)


def test_two_compressions_alone_are_reported_but_not_notable() -> None:
    once = samples.decode(samples.encode(samples.scene(), quality=60))
    evidence = double_jpeg.measure(read_image(samples.encode(once, quality=90)))
    assert evidence.finding == "The picture was compressed as a JPEG before; no region stands out."
    assert not evidence.notable


@pytest.mark.parametrize("quality", [50, 75, 90, 98])
def test_one_compression_leaves_no_trace_of_another(quality: int) -> None:
    evidence = double_jpeg.measure(read_image(samples.encode(samples.scene(), quality=quality)))
    assert evidence.strength == 0
    assert evidence.finding == "There is no trace of an earlier compression on the same grid."


def test_lossless_and_small_images_are_not_judged() -> None:
    lossless = double_jpeg.measure(read_image(samples.encode(forged(), "PNG")))
    small = double_jpeg.measure(read_image(samples.encode(samples.scene(120, 120))))
    assert not lossless.applicable
    assert "JPEG" in lossless.finding
    assert not small.applicable
    assert "small" in small.finding


@pytest.mark.parametrize("size", [(8, 3300), (3300, 8)])
def test_a_single_row_or_column_of_blocks_is_too_small(size: tuple[int, int]) -> None:
    narrow = read_image(samples.encode(np.zeros((*size, 3), np.uint8)), ImageLimits(min_side=8))
    assert "too small" in double_jpeg.measure(narrow).finding
