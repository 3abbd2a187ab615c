"""What a manifest store says, as typed data: untrusted text, made printable and bounded in length."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tamperscope.evidence._quoting import quoted
from tamperscope.evidence.provenance.statuses import Concern, status

_MOST = 50
"""Most actions, ingredients and problems that are reported."""


class State(enum.StrEnum):
    """How the record and the image relate."""

    TRUSTED = "trusted"
    """Signed and unchanged; the signer is on the list of trusted signers."""
    UNVOUCHED = "unvouched"
    """Signed and unchanged; no one vouches for the signer's identity."""
    ALTERED = "altered"
    """The record is intact, but the image is not the one that was signed."""
    UNVERIFIABLE = "unverifiable"
    """The record is intact, but whether the image is the one that was signed cannot be told."""
    BROKEN = "broken"
    """The record itself was changed, or was never validly signed."""
    PRERELEASE = "prerelease"
    """The record is from before the first version of the standard, which no program reads."""
    UNREADABLE = "unreadable"
    ELSEWHERE = "elsewhere"
    """The file only refers to a record at another address, which is not fetched."""


_UNTRUSTED = "signingCredential.untrusted"

INTACT = frozenset({State.TRUSTED, State.UNVOUCHED})
"""States in which the record says what was signed, about this very picture."""


@dataclass(frozen=True)
class Action:
    """Something that was done to the image, as its record declares."""

    action: str
    """C2PA's name without its prefix, such as `created` or `color_adjustments`."""
    program: str
    when: str
    source: str
    """How the pixels were made: a term of IPTC's digital source types, such as `trainedAlgorithmicMedia`."""
    ingredient: bool
    """Whether this was done to something that became part of the image, not to the image itself."""


@dataclass(frozen=True)
class Ingredient:
    """Something that the image was made from."""

    title: str
    relation: str
    """`parentOf` for an earlier version of the image, `componentOf` for a part, `inputTo` for others."""
    signed: bool
    """Whether it has a record of its own."""
    problems: tuple[str, ...]
    """Failure codes of its record, those aside that say only that its signer is not on a trust list."""
    picture: str = ""
    """The preview of it in the record, drawn again, as the data URI of a PNG; empty without one."""


@dataclass(frozen=True)
class Credentials:
    """What a file's Content Credentials state."""

    state: State
    signer: str = ""
    """Name and organisation in the certificate."""
    signed_at: str = ""
    """ISO 8601, from a time stamp; empty without one."""
    program: str = ""
    """The program that wrote the record."""
    actions: tuple[Action, ...] = ()
    ingredients: tuple[str, ...] = ()
    """Titles of what the image was made from."""
    problems: tuple[str, ...] = ()
    """Failure codes of the C2PA specification, without duplicates."""
    ingredient_problems: tuple[str, ...] = ()
    """Failure codes of the records of ingredients, those aside that only say that a signer is not trusted."""
    place: str = ""
    """Host of a record that is `ELSEWHERE`."""
    parts: tuple[Ingredient, ...] = ()
    """The ingredients with the states of their own records."""
    redacted: int = 0
    """How many statements of earlier records were removed."""
    trust_list: str = ""
    """Name of the list of trusted signers that was consulted; empty if none was."""


def read_store(
    store: Mapping[str, Any], trust_list: str = "", pictures: Mapping[str, str] = MappingProxyType({})
) -> Credentials:
    """Return what a manifest store of the official library says.

    `pictures` are previews of ingredients, as data URIs, by the identifiers that the store gives them.
    Raises `AttributeError`, `KeyError` or `TypeError` for a store of another shape.
    """
    manifests, active = store["manifests"], store["active_manifest"]
    # The library leaves out a manifest that it cannot read, and still names it.
    manifest = manifests.get(active) or {}
    signature = manifest.get("signature_info") or {}
    failures = tuple(dict.fromkeys(_codes(_own_results(store), "failure")))
    names = dict.fromkeys(quoted(signature.get(key)) for key in ("common_name", "issuer"))
    programs = [_program(program) for program in manifest.get("claim_generator_info") or ()]
    ingredients = manifest.get("ingredients") or ()
    history = list(_history(manifests, active))
    actions = [
        *(action for label in history for action in _actions(manifests[label], ingredient=False)),
        *(
            action
            for label, other in manifests.items()
            if label not in history
            for action in _actions(other, ingredient=True)
        ),
    ]
    return Credentials(
        state=state(failures, tuple(_codes(_own_results(store), "success"))),
        signer=", ".join(filter(None, names)),
        signed_at=quoted(signature.get("time")),
        program=", ".join(filter(None, programs)) or quoted(manifest.get("claim_generator")),
        actions=tuple(dict.fromkeys(actions))[:_MOST],
        ingredients=tuple(filter(None, (quoted(each.get("title")) for each in ingredients)))[:_MOST],
        problems=tuple(map(quoted, failures))[:_MOST],
        ingredient_problems=tuple(map(quoted, dict.fromkeys(_ingredient_codes(store))))[:_MOST],
        parts=tuple(_ingredient(each, pictures) for each in ingredients[:_MOST]),
        redacted=sum(len(each.get("redactions") or ()) for each in manifests.values()),
        trust_list=trust_list,
    )


def state(failures: Sequence[str], successes: Sequence[str]) -> State:
    """Return the state of a record from the codes of its validation."""
    concerns = {status(code).concern for code in failures}
    fits = any(code.endswith("Hash.match") for code in successes)
    if Concern.RECORD in concerns or "claimSignature.validated" not in successes:
        return State.BROKEN
    if Concern.PICTURE in concerns:
        # The library reports both where the hash fits and the record lies at another place than it should.
        return State.UNVERIFIABLE if fits else State.ALTERED
    if not fits:
        return State.UNVERIFIABLE
    vouched = "signingCredential.trusted" in successes and Concern.SIGNER not in concerns
    return State.TRUSTED if vouched else State.UNVOUCHED


def _own_results(store: Mapping[str, Any]) -> Mapping[str, Any]:
    return (store.get("validation_results") or {}).get("activeManifest") or {}


def _ingredient_codes(store: Mapping[str, Any]) -> Iterator[str]:
    for each in (store.get("validation_results") or {}).get("ingredientDeltas") or ():
        yield from (code for code in _codes(each["validationDeltas"], "failure") if code != _UNTRUSTED)


def _codes(results: Mapping[str, Any], kind: str) -> Iterator[str]:
    yield from (str(each["code"]) for each in results.get(kind) or ())


def _history(manifests: Mapping[str, Any], label: str | None) -> Iterator[str]:
    """Yield the labels of the image's own record and of those of its earlier versions."""
    seen: set[str] = set()
    while label in manifests and label not in seen and len(seen) < _MOST:
        assert label is not None
        seen.add(label)
        yield label
        parents = (
            each.get("active_manifest")
            for each in manifests[label].get("ingredients") or ()
            if each.get("relationship") == "parentOf"
        )
        label = next(parents, None)


def _ingredient(ingredient: Mapping[str, Any], pictures: Mapping[str, str]) -> Ingredient:
    results = (ingredient.get("validation_results") or {}).get("activeManifest") or {}
    listed = [
        *_codes(results, "failure"),
        *(str(each["code"]) for each in ingredient.get("validation_status") or ()),
    ]
    problems = (code for code in dict.fromkeys(listed) if code != _UNTRUSTED)
    return Ingredient(
        title=quoted(ingredient.get("title")),
        relation=quoted(ingredient.get("relationship")),
        signed=bool(ingredient.get("active_manifest")),
        problems=tuple(map(quoted, problems))[:_MOST],
        picture=pictures.get(str((ingredient.get("thumbnail") or {}).get("identifier")), ""),
    )


def _actions(manifest: Mapping[str, Any], *, ingredient: bool) -> Iterator[Action]:
    for assertion in manifest.get("assertions") or ():
        if not str(assertion.get("label")).startswith("c2pa.actions"):
            continue
        for action in assertion["data"]["actions"]:
            yield Action(
                action=quoted(action["action"]).removeprefix("c2pa."),
                program=_program(action.get("softwareAgent")),
                when=quoted(action.get("when")),
                source=quoted(str(action.get("digitalSourceType") or "").rpartition("/")[2]),
                ingredient=ingredient,
            )


def _program(agent: object) -> str:
    if isinstance(agent, Mapping):
        return quoted(f"{agent.get('name') or ''} {agent.get('version') or ''}".strip())
    return quoted(agent)
