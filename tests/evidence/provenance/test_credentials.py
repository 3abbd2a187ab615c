from __future__ import annotations

from typing import Any

import pytest

from tamperscope.evidence.provenance import State, read_store
from tamperscope.evidence.provenance.credentials import state
from tamperscope.evidence.provenance.statuses import Concern, status

VALID = "claimSignature.validated", "assertion.dataHash.match"
UNTRUSTED = "signingCredential.untrusted"


def codes(names: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"code": name} for name in names]


def store(
    failures: tuple[str, ...] = (UNTRUSTED,),
    ingredient_failures: tuple[str, ...] = (),
    **manifest: Any,
) -> dict[str, Any]:
    deltas = [{"ingredientAssertionURI": "x", "validationDeltas": {"failure": codes(ingredient_failures)}}]
    return {
        "active_manifest": "own",
        "manifests": {"own": {"signature_info": {"issuer": "Newsroom"}, **manifest}},
        "validation_results": {
            "activeManifest": {"success": codes(VALID), "failure": codes(failures)},
            "ingredientDeltas": deltas if ingredient_failures else [],
        },
    }


@pytest.mark.parametrize(
    ("failures", "successes", "expected"),
    [
        ((), (*VALID, "signingCredential.trusted"), State.TRUSTED),
        ((UNTRUSTED,), VALID, State.UNVOUCHED),
        # What concerns the signer, the author or the form does not say that the picture was changed.
        (("signingCredential.expired", UNTRUSTED), VALID, State.UNVOUCHED),
        (("signingCredential.ocsp.revoked",), (*VALID, "signingCredential.trusted"), State.UNVOUCHED),
        (("claimSignature.outsideValidity", UNTRUSTED), VALID, State.UNVOUCHED),
        (("cawg.ica.did_unavailable", UNTRUSTED), VALID, State.UNVOUCHED),
        (("assertion.required.missing", UNTRUSTED), VALID, State.UNVOUCHED),
        (("some.future.code", UNTRUSTED), VALID, State.UNVOUCHED),
        # The picture.
        (("assertion.dataHash.mismatch", UNTRUSTED), VALID[:1], State.ALTERED),
        (("assertion.bmffHash.mismatch",), VALID[:1], State.ALTERED),
        (("assertion.boxesHash.mismatch",), VALID[:1], State.ALTERED),
        # The library says both where the hash fits and only the record's place does not.
        (("assertion.dataHash.mismatch", UNTRUSTED), VALID, State.UNVERIFIABLE),
        (("claim.hardBindings.missing",), VALID[:1], State.UNVERIFIABLE),
        # The record.
        (("claimSignature.mismatch",), VALID[1:], State.BROKEN),
        (("assertion.hashedURI.mismatch",), VALID, State.BROKEN),
        (("claimSignature.mismatch", "assertion.dataHash.mismatch"), (), State.BROKEN),
        ((), (), State.BROKEN),
    ],
)
def test_the_state_follows_from_the_codes(
    failures: tuple[str, ...], successes: tuple[str, ...], expected: State
) -> None:
    assert state(failures, successes) is expected


@pytest.mark.parametrize(
    ("code", "concern"),
    [
        ("assertion.dataHash.mismatch", Concern.PICTURE),
        ("claimSignature.mismatch", Concern.RECORD),
        ("signingCredential.expired", Concern.SIGNER),
        ("timeStamp.mismatch", Concern.TIME),
        ("cawg.ica.valid_from.invalid", Concern.AUTHOR),
        ("ingredient.manifest.missing", Concern.INGREDIENT),
        ("assertion.action.malformed", Concern.FORM),
        ("not.known.yet", Concern.FORM),
    ],
)
def test_every_code_has_a_concern_and_a_sentence(code: str, concern: Concern) -> None:
    found = status(code)

    assert found.concern is concern
    assert found.sentence.endswith(".")


def test_an_ingredient_that_is_not_valid_does_not_break_the_record() -> None:
    found = read_store(store(ingredient_failures=("assertion.hashedURI.mismatch", UNTRUSTED)))

    assert found.state is State.UNVOUCHED
    assert found.ingredient_problems == ("assertion.hashedURI.mismatch",)


def test_actions_of_an_earlier_version_belong_to_the_image_and_those_of_a_part_do_not() -> None:
    def made(action: str) -> dict[str, Any]:
        return {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [{"action": action}]}}]}

    document = store(
        ingredients=[
            {"relationship": "parentOf", "active_manifest": "before", "title": "photo.jpg"},
            {"relationship": "componentOf", "active_manifest": "part", "title": "logo.png"},
        ],
        **made("c2pa.cropped"),
    )
    document["manifests"] |= {"before": made("c2pa.created"), "part": made("c2pa.drawing")}

    found = read_store(document)

    assert [(action.action, action.ingredient) for action in found.actions] == [
        ("cropped", False),
        ("created", False),
        ("drawing", True),
    ]
    assert [part.relation for part in found.parts] == ["parentOf", "componentOf"]


def test_a_record_whose_own_manifest_the_library_leaves_out_is_still_judged() -> None:
    document = store(("cawg.identity.cbor.invalid", UNTRUSTED))
    del document["manifests"]["own"]

    assert read_store(document).state is State.UNVOUCHED


def test_versions_that_refer_to_each_other_are_read_once() -> None:
    document = store(ingredients=[{"relationship": "parentOf", "active_manifest": "own"}])

    assert read_store(document).actions == ()
