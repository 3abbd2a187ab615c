"""What ships in model/, as a newcomer meets it."""

from pathlib import Path

import numpy as np
import pytest

from tamperscope.bundle import Bundle
from tamperscope.detector import Detector
from tamperscope.evaluation.metrics import overlap
from tamperscope.images import read_image

ROOT = Path(__file__).parents[1]
MEGABYTE = 1e6


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(ROOT / "model")


def test_it_is_calibrated_and_gives_everything(bundle: Bundle) -> None:
    assert bundle.outputs == {"mask", "type", "score"}
    assert bundle.calibration is not None


def test_its_download_stays_small() -> None:
    assert sum(file.stat().st_size for file in (ROOT / "model").iterdir()) < 60 * MEGABYTE


def test_it_finds_what_was_pasted_into_the_sample(bundle: Bundle) -> None:
    images = ROOT / "docs" / "images"
    report = Detector.load(bundle).analyze(images / "sample.jpg")
    truth = read_image(images / "sample-mask.png").pixels[..., 0] > 127
    everything = overlap(np.ones_like(truth), truth)
    assert overlap(report.mask, truth).f1 > 5 * everything.f1
    assert truth[report.mask].mean() > 0.3
