from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import pytest

import samples
from tamperscope.evidence import quantisation
from tamperscope.images import read_image


@pytest.mark.parametrize("quality", [1, 30, 49, 50, 75, 90, 99, 100])
def test_the_quality_of_libjpeg_is_read_exactly(quality: int) -> None:
    evidence = quantisation.measure(read_image(samples.encode(samples.photo(), quality=quality)))
    assert evidence.finding.startswith(f"JPEG quality {quality}. The tables are those of libjpeg")
    assert evidence.strength == 0
    assert evidence.map is None


def test_a_grey_jpeg_is_recognised_by_its_one_table() -> None:
    grey = PIL.Image.fromarray(samples.photo()).convert("L")
    finding = quantisation.measure(read_image(samples.encode(grey, quality=80))).finding
    assert finding.startswith("JPEG quality 80. The tables are those of libjpeg")


@pytest.mark.parametrize("preset", ["web_low", "web_high", "medium", "maximum"])
def test_tables_of_photoshop_are_notable(preset: str) -> None:
    evidence = quantisation.measure(read_image(samples.encode(samples.photo(), qtables=preset)))
    assert "Adobe Photoshop" in evidence.finding
    assert evidence.notable


def test_tables_of_mozjpeg_are_recognised() -> None:
    # What `cjpeg -quality 75` of mozjpeg writes: half of N. Robidoux's table, for all components.
    table = [
        *(8, 8, 8, 9, 13, 19, 28, 43, 8, 9, 10, 14, 17, 20, 27, 38),
        *(8, 10, 12, 16, 22, 31, 46, 68, 9, 14, 16, 20, 27, 37, 53, 78),
        *(13, 17, 22, 27, 35, 47, 66, 95, 19, 20, 31, 37, 47, 62, 85, 119),
        *(28, 27, 46, 53, 66, 85, 113, 156, 43, 38, 68, 78, 95, 119, 156, 209),
    ]
    evidence = quantisation.measure(read_image(samples.encode(samples.photo(), qtables=[table, table])))
    assert evidence.finding.startswith("JPEG quality 75. The tables are those of mozjpeg")
    assert evidence.strength == 0


def test_unknown_tables_get_the_nearest_quality_and_no_name() -> None:
    table = np.array(PIL.Image.open(BytesIO(samples.encode(samples.photo(), quality=85))).quantization[0])
    table[-1] += 1
    tables = [table.tolist(), table.tolist()]
    evidence = quantisation.measure(read_image(samples.encode(samples.photo(), qtables=tables)))
    assert evidence.finding.startswith("JPEG quality about 85. The tables are those of an unknown program")
    assert evidence.strength == 0


def test_other_formats_have_no_tables() -> None:
    evidence = quantisation.measure(read_image(samples.encode(samples.photo(), "PNG")))
    assert not evidence.applicable
    assert evidence.finding == "Only JPEG files have quantisation tables."


class TestDevices:
    """What the tables say about the device that the metadata names."""

    def test_tables_of_a_common_program_contradict_a_device_with_tables_of_its_own(self) -> None:
        evidence = quantisation.measure(read_image(self.file("Apple", "iPhone XR")))

        assert "saved again by another program" in evidence.finding
        assert evidence.details == {"device": "contradicts"}
        assert not evidence.notable

    def test_tables_that_originals_of_the_device_have_agree(self) -> None:
        evidence = quantisation.measure(
            read_image(self.file("CASIO COMPUTER CO.,LTD", "EX-Z750", quality=95))
        )

        assert "Originals of the device that the file names have the same tables." in evidence.finding
        assert evidence.details == {"device": "agrees"}
        assert evidence.strength == 0

    def test_a_device_that_no_one_collected_is_left_alone(self) -> None:
        evidence = quantisation.measure(read_image(self.file("Acme", "Camera 1")))

        assert evidence.details == {}

    def test_photoshop_does_not_write_tables_of_libjpeg(self) -> None:
        data = samples.encode(samples.photo(), exif=samples.exif(Software="Adobe Photoshop CS6 (Windows)"))

        assert "another program saved the file since" in quantisation.measure(read_image(data)).finding

    @staticmethod
    def file(make: str, model: str, quality: int = 90) -> bytes:
        return samples.encode(samples.photo(), quality=quality, exif=samples.exif(Make=make, Model=model))
