from __future__ import annotations

import json

from tamperscope.origin import UNKNOWN_ORIGIN, AppliedRule, Basis, Claim, Origin, OriginKind

CLAIM = Claim(
    OriginKind.GENERATED, Basis.SIGNED, "Content Credentials", "It says so.", "Believe it.", "X", 0.9
)


def test_an_origin_is_read_back_from_its_json() -> None:
    for origin in (
        UNKNOWN_ORIGIN,
        Origin(OriginKind.GENERATED, "Generated", (CLAIM,), AppliedRule("declared_generated", "Because.")),
    ):
        assert Origin.from_json(json.loads(json.dumps(origin.to_json()))) == origin


def test_a_record_of_an_earlier_version_has_an_unknown_origin() -> None:
    assert Origin.from_json(None) == UNKNOWN_ORIGIN
