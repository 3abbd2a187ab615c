from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL.Image
import pytest

import samples
from tamperscope.evidence import MEASUREMENTS
from tamperscope.images import Image, read_image
from tamperscope.report import NOTABLE, Evidence

Measure = Callable[[Image], Evidence]

every_measurement = pytest.mark.parametrize("measure", MEASUREMENTS.values(), ids=MEASUREMENTS)


def odd_images() -> dict[str, bytes]:
    """Valid files that contain little of what the measurements need."""
    grey = PIL.Image.fromarray(samples.scene(200, 170)).convert("L")
    return {
        "smallest": samples.encode(samples.photo(32, 32)),
        "one colour": samples.encode(np.full((170, 200, 3), 90, np.uint8)),
        "white": samples.encode(np.full((170, 200, 3), 255, np.uint8), "PNG"),
        "no whole blocks": samples.encode(samples.scene(203, 171)),
        "turned": samples.encode(samples.scene(203, 171), exif=samples.exif_orientation(6)),
        "grey": samples.encode(grey),
        "CMYK": samples.encode(PIL.Image.fromarray(samples.scene(200, 170)).convert("CMYK")),
        "narrow": samples.encode(samples.scene(1200, 33)),
        "coarse": samples.encode(samples.scene(200, 170), quality=1),
    }


@every_measurement
@pytest.mark.parametrize(("name", "data"), odd_images().items(), ids=odd_images())
def test_a_measurement_answers_for_any_image(measure: Measure, name: str, data: bytes) -> None:
    image = read_image(data)
    evidence = measure(image)
    assert evidence.finding.endswith(".")
    assert evidence.strength is None or 0 <= evidence.strength < NOTABLE
    if evidence.map is not None:
        assert evidence.map.shape == (image.height, image.width)
        assert evidence.map.dtype == np.float32
        assert 0 <= evidence.map.min() <= evidence.map.max() <= 1


@every_measurement
def test_a_measurement_gives_the_same_answer_in_every_thread(measure: Measure) -> None:
    data = samples.encode(samples.decode(samples.encode(samples.scene(200, 170), quality=60)), quality=90)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: measure(read_image(data)), range(8)))
    assert len({answer.finding for answer in answers}) == 1
    assert len({answer.map.tobytes() for answer in answers if answer.map is not None}) <= 1


def test_measurements_are_known_by_the_name_of_their_evidence() -> None:
    image = read_image(samples.scene(64, 64))
    for name, measure in MEASUREMENTS.items():
        assert measure(image).name == name
