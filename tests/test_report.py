from __future__ import annotations

import dataclasses
import json
import math

import pytest

import reports
from tamperscope.report import OperatingPoints, Reason, ReportRecord, printed_score


@pytest.mark.parametrize(
    ("score", "printed"),
    [(0.0, "0.01"), (0.004, "0.01"), (0.126, "0.13"), (0.984, "0.98"), (0.9999, "0.99"), (1.0, "0.99")],
)
def test_a_printed_score_is_never_certain(score: float, printed: str) -> None:
    assert printed_score(score) == printed


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (1.01, "hardly moved the score"),
        (1.5, "1.5 times more likely"),
        (0.25, "4.0 times less likely"),
        (34.4, "34 times more likely"),
        (344.6, "more than 100 times more likely"),
    ],
)
def test_a_reason_has_no_more_digits_than_were_measured(times: float, words: str) -> None:
    assert words in Reason("clones", math.log(times)).text


def test_a_record_survives_json() -> None:
    record = reports.report(reasons=(Reason("clones", 1.23456), Reason("network_map", -0.5))).record

    read = ReportRecord.from_json(json.loads(json.dumps(record.to_json())))

    assert read == record
    assert read.to_json() == record.to_json()


def test_a_record_is_rounded_once_and_nowhere_else() -> None:
    region = dataclasses.replace(reports.report().regions[0], probability=1 / 3, area_share=1 / 7)
    report = reports.report(score=2 / 3, regions=(region,), reasons=(Reason("clones", 1 / 3),))

    record = report.record

    assert (record.score, record.regions[0].probability, record.regions[0].area_share) == (
        0.6667,
        0.3333,
        0.142857,
    )
    assert record.reasons[0].effect == 0.3333
    assert report.to_json() == record.to_json()


def test_evidence_is_notable_as_it_was_before_rounding() -> None:
    almost = reports.evidence("noise", 0.49996)

    record = reports.report(evidence={"noise": almost}).record

    assert record.evidence["noise"].strength == 0.5
    assert not ReportRecord.from_json(record.to_json()).evidence["noise"].notable


@pytest.mark.parametrize("missing", ["operating_points", "threshold", "reasons", "versions"])
def test_a_record_of_an_earlier_version_can_be_read(missing: str) -> None:
    document = reports.report().to_json()
    del document[missing]

    assert ReportRecord.from_json(document).verdict == document["verdict"]


def test_crossed_operating_points_are_rejected() -> None:
    with pytest.raises(ValueError, match="operating points"):
        OperatingPoints(0.8, 0.2, 0.02, 0.1, 10, 10)
