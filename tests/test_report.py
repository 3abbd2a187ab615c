import math

import pytest

from tamperscope.report import Reason, printed_score


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
