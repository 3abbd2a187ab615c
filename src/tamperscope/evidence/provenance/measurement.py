"""Content Credentials (C2PA specification 2): the signer, the declarations, and whether they still hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from tamperscope.evidence.provenance.credentials import INTACT, Action, Credentials, State
from tamperscope.evidence.provenance.reading import NO_TRUST_LIST, TrustList, read
from tamperscope.evidence.provenance.statuses import Concern, status
from tamperscope.evidence.source_types import source_type
from tamperscope.images import Image
from tamperscope.origin import Basis, Claim, OriginKind
from tamperscope.report import Evidence, Explanation

NAME = "provenance"
EXPLANATION = Explanation(
    what_you_see="The file's Content Credentials: a signed record of who made or edited it, and how, and "
    "whether the signature still matches the picture.",
    what_it_can_mean="A signature that matches proves that nothing changed since the signing. One that does "
    "not match shows that the file or the record was changed afterwards. The record itself may declare a "
    "generator or edits.",
    what_it_cannot="Anyone can sign, and declare anything. Without a list of trusted signers it is for you "
    "to judge how far to believe a signer. Nearly all pictures have no record, and removing one is easy: its "
    "absence means nothing.",
)
SOURCE = "Content Credentials"

_STRENGTHS = {
    State.TRUSTED: 0.0,
    State.UNVOUCHED: 0.0,
    State.ALTERED: 0.9,
    State.UNVERIFIABLE: 0.3,
    State.BROKEN: 0.7,
    State.PRERELEASE: 0.1,
    State.UNREADABLE: 0.4,
}
_DECLARED = {
    OriginKind.GENERATED: 0.95,
    OriginKind.AI_EDITED: 0.9,
    OriginKind.COMPOSITED: 0.7,
    OriginKind.DRAWN: 0.6,
    OriginKind.SCREENSHOT: 0.4,
    OriginKind.EDITED: 0.3,
    OriginKind.CAPTURED: 0.0,
}
"""Strengths of declarations. Most edits are honest, so edits alone are not notable."""


def measure(image: Image, trust: TrustList = NO_TRUST_LIST) -> Evidence:
    """Return what the Content Credentials declare and whether they are valid; there is no map.

    The details are the fields of `Credentials`; there are none if the file has no credentials.
    """
    found = read(image, trust)
    if found is None:
        reason = (
            "The file carries no Content Credentials, like nearly all pictures. Their absence means nothing."
        )
        return Evidence(NAME, EXPLANATION, reason, None)
    sentences = [*_on_record(found), *(claim.text for claim in _declarations(found)), *_on_parts(found)]
    strength = None
    if found.state is not State.ELSEWHERE:
        strength = max(_STRENGTHS[found.state], *(claim.strength for claim in claims(found)), 0.0)
    return Evidence(NAME, EXPLANATION, " ".join(sentences), strength, details=asdict(found))


def claims(found: Credentials) -> Iterator[Claim]:
    """Yield what Content Credentials prove and declare about the origin of an image."""
    if found.state is State.ALTERED:
        yield Claim(
            OriginKind.CHANGED,
            Basis.PROVEN,
            SOURCE,
            f"The file was changed after it was signed{_by(found)}: the signature is valid, and the picture "
            "does not fit it.",
            "The signature proves that something changed, and not what. A program that knows no Content "
            "Credentials breaks them even by cropping or by saving again.",
            found.signer,
            _STRENGTHS[State.ALTERED],
        )
    yield from _declarations(found)


def _declarations(found: Credentials) -> Iterator[Claim]:
    basis = Basis.SIGNED if found.state in INTACT else Basis.DECLARED
    told: dict[tuple[str, bool], list[str]] = {}
    for action in found.actions:
        if source_type(action.source):
            told.setdefault((action.source, action.ingredient), []).append(action.program)
    for (term, ingredient), programs in told.items():
        declared = source_type(term)
        assert declared is not None
        kind = _part_kind(declared.kind) if ingredient else declared.kind
        named = list(dict.fromkeys(filter(None, programs)))
        program = ", ".join(named)
        made = f"{declared.words}, with {program}" if named else declared.words
        yield Claim(
            kind,
            Basis.PROVEN if _proves_capture(found, kind) else basis,
            SOURCE,
            f"Something it was made from is declared as {made}." if ingredient else f"Declared as {made}.",
            _belief(found),
            "" if ingredient else _program(kind, named, found),
            _DECLARED[kind],
        )
    if "placed" in (action.action for action in found.actions if not action.ingredient):
        text = "Declared as having other pictures placed into it."
        yield Claim(OriginKind.COMPOSITED, basis, SOURCE, text, _belief(found), found.program, 0.6)
    if edits := ", ".join(_edits(found.actions)):
        text = f"Declared edits: {edits}."
        strength = _DECLARED[OriginKind.EDITED]
        yield Claim(OriginKind.EDITED, basis, SOURCE, text, _belief(found), found.program, strength)


def _program(kind: OriginKind, named: list[str], found: Credentials) -> str:
    """Return the program that made the pixels: the record's own program, unless a camera made them."""
    return named[0] if named else "" if kind is OriginKind.CAPTURED else found.program


def _part_kind(kind: OriginKind) -> OriginKind:
    """Return what a picture is that has a part of this kind."""
    parts = {OriginKind.GENERATED: OriginKind.AI_EDITED, OriginKind.DRAWN: OriginKind.COMPOSITED}
    return parts.get(kind, kind)


def _proves_capture(found: Credentials, kind: OriginKind) -> bool:
    return kind is OriginKind.CAPTURED and found.state is State.TRUSTED and not _edits(found.actions)


def _belief(found: Credentials) -> str:
    if found.state is State.TRUSTED:
        return f"Unchanged since a signer on the trust list {found.trust_list} signed it."
    if found.state is State.UNVOUCHED:
        return "Unchanged since it was signed, but no one vouches for the signer, and anyone can sign."
    return "Not confirmed: the record does not fit this file, or cannot be verified."


_NO_EDITS = frozenset(
    (
        "created",
        "opened",
        "published",
        "converted",
        "repackaged",
        "transcoded",
        "translated",
        "placed",
        "saved",
        "watermarked",
    )
)
"""Actions that do not change what a picture shows. `placed` is told on its own."""


def _edits(actions: tuple[Action, ...]) -> list[str]:
    """Return what was done to the image itself, in words, without duplicates."""
    return list(
        dict.fromkeys(
            action.action.replace("_", " ")
            for action in actions
            if action.action not in _NO_EDITS and not action.ingredient
        )
    )


def _by(found: Credentials) -> str:
    signer = f" by {found.signer}" if found.signer else ""
    return signer + (f" on {found.signed_at}" if found.signed_at else "")


def _on_record(found: Credentials) -> Iterator[str]:
    """Yield the sentences on the record and its signature."""
    by = _by(found)
    match found.state:
        case State.ELSEWHERE:
            place = f" at {found.place}" if found.place else ""
            yield f"The file refers to Content Credentials that are kept{place}; they were not fetched."
        case State.UNREADABLE:
            yield "The file carries Content Credentials that cannot be read; they may be damaged."
        case State.PRERELEASE:
            yield (
                "The file carries Content Credentials from before the first version of their standard, "
                "which cannot be read."
            )
        case State.BROKEN:
            yield f"The Content Credentials, signed{by}, are not valid: the record was changed or damaged."
        case State.ALTERED:
            yield f"The picture was changed after it was signed{by}: it is not the one signed."
        case State.UNVERIFIABLE:
            yield f"Signed{by}, but whether the picture is the one that was signed cannot be verified."
        case State.TRUSTED:
            yield f"Signed{by}, and unchanged since; the signer is on the trust list {found.trust_list}."
        case State.UNVOUCHED:
            yield f"Signed{by}, and unchanged since; {_unvouched(found)}."
    for code in found.problems:
        each = status(code)
        if each.concern is not Concern.PICTURE and code != "signingCredential.untrusted":
            yield each.sentence


def _unvouched(found: Credentials) -> str:
    if found.trust_list and "signingCredential.untrusted" in found.problems:
        return f"the signer is not on the trust list {found.trust_list}"
    return "the signer's identity is not verified"


def _on_parts(found: Credentials) -> Iterator[str]:
    """Yield the sentences on ingredients and on what was removed from the record."""
    if found.ingredient_problems:
        codes = ", ".join(found.ingredient_problems)
        yield f"The record of something that it was made from is not valid ({codes})."
    for part in found.parts:
        if part.problems:
            title = f" “{part.title}”" if part.title else ""
            codes = ", ".join(part.problems)
            yield f"When it was signed, the record of its ingredient{title} was not valid ({codes})."
    if found.redacted:
        yield f"{found.redacted} statements of earlier records were removed."
