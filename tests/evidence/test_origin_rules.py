from __future__ import annotations

import pytest

from tamperscope.evidence.origin_rules import RULES, judged
from tamperscope.origin import Basis, Claim, OriginKind
from tamperscope.report import Verdict


def claim(kind: OriginKind, basis: Basis = Basis.DECLARED, program: str = "") -> Claim:
    return Claim(kind, basis, "source", "It says so.", "Believe it.", program)


AUTHENTIC, INCONCLUSIVE, MANIPULATED = Verdict.AUTHENTIC, Verdict.INCONCLUSIVE, Verdict.MANIPULATED
CASES = [
    # claim, rule, verdicts for the scores of authentic, inconclusive and manipulated
    (claim(OriginKind.CHANGED, Basis.PROVEN), "changed_after_signing", [MANIPULATED] * 3),
    (claim(OriginKind.GENERATED), "declared_generated", [INCONCLUSIVE, INCONCLUSIVE, MANIPULATED]),
    (claim(OriginKind.AI_EDITED), "declared_ai_edited", [INCONCLUSIVE, INCONCLUSIVE, MANIPULATED]),
    (claim(OriginKind.COMPOSITED), "declared_composited", [INCONCLUSIVE, INCONCLUSIVE, MANIPULATED]),
    (claim(OriginKind.DRAWN), "declared_not_a_photo", [INCONCLUSIVE, INCONCLUSIVE, MANIPULATED]),
    (claim(OriginKind.SCREENSHOT), "declared_not_a_photo", [INCONCLUSIVE, INCONCLUSIVE, MANIPULATED]),
    (claim(OriginKind.CAPTURED, Basis.PROVEN), "signed_capture", [AUTHENTIC, INCONCLUSIVE, INCONCLUSIVE]),
    (claim(OriginKind.CAPTURED, Basis.SIGNED), None, [AUTHENTIC, INCONCLUSIVE, MANIPULATED]),
    (claim(OriginKind.CAPTURED), None, [AUTHENTIC, INCONCLUSIVE, MANIPULATED]),
    (claim(OriginKind.EDITED), None, [AUTHENTIC, INCONCLUSIVE, MANIPULATED]),
    (claim(OriginKind.RESAVED), None, [AUTHENTIC, INCONCLUSIVE, MANIPULATED]),
]


@pytest.mark.parametrize(("stated", "rule", "verdicts"), CASES)
def test_a_claim_moves_the_verdict_by_its_rule(
    stated: Claim, rule: str | None, verdicts: list[Verdict]
) -> None:
    for by_score, expected in zip((AUTHENTIC, INCONCLUSIVE, MANIPULATED), verdicts, strict=True):
        origin, verdict = judged([stated], by_score)

        assert verdict is expected
        assert (origin.rule and origin.rule.name) == rule


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in RULES} == {rule for _, rule, _ in CASES if rule}


def test_the_first_rule_that_applies_counts() -> None:
    both = [claim(OriginKind.CAPTURED, Basis.PROVEN), claim(OriginKind.CHANGED, Basis.PROVEN)]

    origin, verdict = judged(both, AUTHENTIC)

    assert verdict is MANIPULATED
    assert origin.rule
    assert origin.rule.name == "changed_after_signing"


def test_without_claims_the_score_decides() -> None:
    origin, verdict = judged([], AUTHENTIC)

    assert (origin.kind, origin.rule, verdict) == (OriginKind.UNKNOWN, None, AUTHENTIC)


def test_the_headline_names_the_program_of_the_most_telling_claim() -> None:
    stated = [
        claim(OriginKind.CAPTURED, program="Canon EOS R5"),
        claim(OriginKind.GENERATED),
        claim(OriginKind.GENERATED, program="Midjourney"),
    ]

    origin, _ = judged(stated, AUTHENTIC)

    assert origin.headline == "Declared as generated with Midjourney"
    assert [each.kind for each in origin.claims] == [
        OriginKind.GENERATED,
        OriginKind.GENERATED,
        OriginKind.CAPTURED,
    ]
