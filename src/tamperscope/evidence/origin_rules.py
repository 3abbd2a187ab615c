"""The origin of an image from what its file proves and declares, and the rules by which it moves the verdict.

    origin, verdict = judged(claims, verdict)

Facts come before statistics, and only as far as they are facts: a declaration takes away a verdict of
`authentic`, and never makes one of `manipulated`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from tamperscope.origin import UNKNOWN_ORIGIN, AppliedRule, Basis, Claim, Origin, OriginKind
from tamperscope.report import Verdict


@dataclass(frozen=True)
class Rule:
    """One rule: when it applies, and which verdicts it replaces."""

    name: str
    text: str
    applies: Callable[[Origin], bool]
    replaces: Mapping[Verdict, Verdict]


def _claims(*kinds: OriginKind, basis: Basis | None = None) -> Callable[[Origin], bool]:
    return lambda origin: any(claim.kind in kinds and basis in (None, claim.basis) for claim in origin.claims)


_NEVER_AUTHENTIC = {Verdict.AUTHENTIC: Verdict.INCONCLUSIVE}

RULES = (
    Rule(
        "changed_after_signing",
        "The file was changed after it was signed, so the verdict is “manipulated” whatever the score. The "
        "signature does not tell what was changed.",
        _claims(OriginKind.CHANGED, basis=Basis.PROVEN),
        {Verdict.AUTHENTIC: Verdict.MANIPULATED, Verdict.INCONCLUSIVE: Verdict.MANIPULATED},
    ),
    Rule(
        "declared_generated",
        "The file declares that the picture was generated. The score was made for photos, so a low one does "
        "not make it authentic.",
        _claims(OriginKind.GENERATED),
        _NEVER_AUTHENTIC,
    ),
    Rule(
        "declared_ai_edited",
        "The file declares that parts of the picture were generated. A low score does not make it authentic.",
        _claims(OriginKind.AI_EDITED),
        _NEVER_AUTHENTIC,
    ),
    Rule(
        "declared_composited",
        "The file declares that the picture was composed of several. A low score does not make it authentic.",
        _claims(OriginKind.COMPOSITED),
        _NEVER_AUTHENTIC,
    ),
    Rule(
        "declared_not_a_photo",
        "The file declares that the picture is not a photo. The score was made for photos, so a low one does "
        "not make it authentic.",
        _claims(OriginKind.DRAWN, OriginKind.SCREENSHOT),
        _NEVER_AUTHENTIC,
    ),
    Rule(
        "signed_capture",
        "A trusted signer vouches that a camera took this picture and that it is unchanged. Statistics alone "
        "do not outweigh that, so a high score does not make it manipulated.",
        _claims(OriginKind.CAPTURED, basis=Basis.PROVEN),
        {Verdict.MANIPULATED: Verdict.INCONCLUSIVE},
    ),
)
"""The first rule that applies counts."""


def judged(claims: Iterable[Claim], verdict: Verdict) -> tuple[Origin, Verdict]:
    """Return the origin that follows from claims, with the rule that applies, and the verdict after it.

    A rule that applies is part of the origin even where it leaves the verdict as it is.
    """
    origin = _origin(tuple(claims))
    for rule in RULES:
        if rule.applies(origin):
            applied = replace(origin, rule=AppliedRule(rule.name, rule.text))
            return applied, rule.replaces.get(verdict, verdict)
    return origin, verdict


_ORDER = {kind: number for number, kind in enumerate(OriginKind)}
_BASES = {basis: number for number, basis in enumerate(Basis)}
_MOST_CLAIMS = 20


def _origin(claims: tuple[Claim, ...]) -> Origin:
    if not claims:
        return UNKNOWN_ORIGIN
    ordered = sorted(dict.fromkeys(claims), key=lambda claim: (_ORDER[claim.kind], _BASES[claim.basis]))
    first = ordered[0]
    program = next((claim.program for claim in ordered if claim.kind is first.kind and claim.program), "")
    return Origin(first.kind, _headline(first, program), tuple(ordered[:_MOST_CLAIMS]))


def _headline(claim: Claim, program: str) -> str:
    named = f" with {program}" if program else ""
    match claim.kind:
        case OriginKind.CHANGED:
            return f"Changed after it was signed{f' by {program}' if program else ''}"
        case OriginKind.GENERATED:
            return f"Declared as generated{named or ' by an image generator'}"
        case OriginKind.AI_EDITED:
            return f"Declared as changed with generated content{f' ({program})' if program else ''}"
        case OriginKind.COMPOSITED:
            return f"Declared as composed of several pictures{f' ({program})' if program else ''}"
        case OriginKind.DRAWN:
            return f"Declared as drawn, not photographed{f' ({program})' if program else ''}"
        case OriginKind.SCREENSHOT:
            return "Declared as a screenshot"
        case OriginKind.EDITED:
            return f"Declared as edited{named}"
        case OriginKind.CAPTURED if claim.basis is Basis.PROVEN:
            return "Signed as taken with a camera, and unchanged since"
        case OriginKind.CAPTURED:
            return f"Declared as taken{named or ' with a camera'}"
        case _:
            return f"Saved again{f' by {program}' if program else ''}"
