from __future__ import annotations

import pytest

from tamperscope.evidence.strength import strength
from tamperscope.report import NOTABLE


def test_evidence_is_notable_from_the_threshold_of_its_measurement() -> None:
    assert strength(4.0, notable_at=4.0) == pytest.approx(NOTABLE)
    assert strength(3.9, notable_at=4.0) < NOTABLE < strength(4.1, notable_at=4.0)


def test_strength_grows_with_the_statistic_and_stays_below_one() -> None:
    values = [strength(statistic, notable_at=4.0) for statistic in (0, 1, 10, 1000)]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] < 1
