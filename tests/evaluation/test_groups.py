from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tamperscope.evaluation.groups import by_group
from tamperscope.evaluation.measurement import Measurement
from tamperscope.evaluation.metrics import Overlap
from tamperscope.report import ManipulationType, Verdict

RECEIPT = Measurement(
    set="harmless",
    corruption="",
    forged=False,
    type=None,
    found_type=ManipulationType.FACE,
    score=0.9,
    verdict=Verdict.MANIPULATED,
    pixels=100,
    kind="receipt",
    format_band="lossless files",
    size_band="below 0.15 megapixels",
    history="metadata of a camera",
    overlap=Overlap(0, 5, 0),
    shown=Overlap(0, 5, 0),
    best_f1=None,
    average_precision=None,
    histogram="",
)


def test_wrong_verdicts_are_counted_by_kind_size_format_and_history() -> None:
    hinted = dataclasses.replace(RECEIPT, verdict=Verdict.AUTHENTIC, shown=Overlap(0, 0, 0), score=0.1)
    forged = dataclasses.replace(RECEIPT, forged=True, kind="", set="casia1", size_band="above 2 megapixels")
    groups = {(group.dimension, group.name): group for group in by_group([RECEIPT, hinted, forged])}

    assert list(dict.fromkeys(dimension for dimension, _ in groups)) == ["kind", "size", "format", "history"]
    receipts = groups["kind", "receipt"]
    assert (receipts.false_alarms.value, receipts.marked.value, receipts.detected.of) == (0.5, 0.5, 0)
    assert np.isnan(receipts.calibration_error)
    assert groups["kind", "casia1"].detected.value == 1
    assert groups["size", "above 2 megapixels"].false_alarms.of == 0
    everything = groups["format", "lossless files"]
    assert everything.calibration_error == pytest.approx((0.1 + 2 * 0.4) / 3)
    low, high = everything.false_alarms.interval
    assert 0 < low < 0.5 < high < 1
