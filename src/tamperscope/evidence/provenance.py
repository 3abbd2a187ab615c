"""Content Credentials (C2PA specification 2): the signer, the declarations, and whether they still hold.

    evidence = provenance.measure(image)
    evidence.details["state"], evidence.details["signer"], evidence.details["actions"]

The official library reads and validates them, offline and in a separate process (`_c2pa_reader`).
"""

from __future__ import annotations

import enum
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tamperscope.evidence._quoting import quoted
from tamperscope.images import Image
from tamperscope.report import Evidence, Explanation

NAME = "provenance"
EXPLANATION = Explanation(
    what_you_see="The file's Content Credentials: a signed record of who made or edited it, and how, and "
    "whether the signature still matches the picture.",
    what_it_can_mean="A signature that matches proves that nothing changed since the signing. One that does "
    "not match shows that the picture or the record was changed afterwards. The record itself may declare a "
    "generator or edits.",
    what_it_cannot="Anyone can sign, and declare anything. No list of trusted signers is consulted, so it is "
    "for you to judge how far to believe a signer. Nearly all pictures have no record, and removing one is "
    "easy: its absence means nothing.",
)


class State(enum.StrEnum):
    """How the record and the image relate."""

    TRUSTED = "trusted"
    """Signed and unchanged; the signer is on the library's list of trusted signers."""
    UNVOUCHED = "unvouched"
    """Signed and unchanged; no one vouches for the signer's identity."""
    ALTERED = "altered"
    """The record is intact, but the image is not the one that was signed."""
    BROKEN = "broken"
    """The record itself was changed, or was never validly signed."""
    UNREADABLE = "unreadable"
    ELSEWHERE = "elsewhere"
    """The file only refers to a record at another address, which is not fetched."""


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
class Credentials:
    """What a file's Content Credentials state: untrusted text, made printable and bounded in length."""

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
    place: str = ""
    """Host of a record that is `ELSEWHERE`."""


_STRENGTHS = {
    State.TRUSTED: 0.0,
    State.UNVOUCHED: 0.0,
    State.ALTERED: 0.9,
    State.BROKEN: 0.7,
    State.UNREADABLE: 0.4,
}
_GENERATED, _EDITED = 0.95, 0.3
"""Strengths of declarations. Most edits are honest, so edits alone are not notable."""


def measure(image: Image) -> Evidence:
    """Return what the Content Credentials declare and whether they are valid; there is no map.

    The details are the fields of `Credentials`; there are none if the file has no credentials.
    """
    found = read(image)
    if found is None:
        reason = (
            "The file carries no Content Credentials, like nearly all pictures. Their absence means nothing."
        )
        return Evidence(NAME, EXPLANATION, reason, None)
    strength = None
    if found.state is not State.ELSEWHERE:
        declared = (
            _GENERATED if any(map(_generated, found.actions)) else _EDITED if _edits(found.actions) else 0.0
        )
        strength = max(_STRENGTHS[found.state], declared)
    return Evidence(NAME, EXPLANATION, " ".join(_sentences(found)), strength, details=asdict(found))


# Reading the record


_STORE = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
"""The UUID that begins each manifest store, whatever the image format."""
_REFERENCE = re.compile(rb"dcterms:provenance\s*(?:=\s*[\"']|>)\s*(https?://[^\"'<>\s]{1,1000})")
_MIME_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "HEIF": "image/heic",
    "AVIF": "image/avif",
}
_SECONDS = 20
"""Time limit of the reader, long enough for a busy machine."""
_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""The reader must not receive the keys and tokens in the environment."""
_MOST = 50
"""Most actions, ingredients and problems that are reported."""


def read(image: Image) -> Credentials | None:
    """Return the Content Credentials of a file; None if it has none."""
    if image.format not in _MIME_TYPES:
        return None
    if _STORE in image.data:
        store = _manifest_store(image.data, _MIME_TYPES[image.format])
        try:
            return Credentials(State.UNREADABLE) if store is None else _credentials(store)
        except (AttributeError, KeyError, TypeError):  # the JSON comes from an untrusted file
            return Credentials(State.UNREADABLE)
    if reference := _REFERENCE.search(image.data):
        return Credentials(State.ELSEWHERE, place=_host(reference[1]))
    return None


def _manifest_store(data: bytes, mime_type: str) -> dict[str, Any] | None:
    """Return the manifest store as read by the official library; None if it cannot read it, or fails."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("_c2pa_reader.py")), mime_type]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - nothing in the command comes from a file
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_SECONDS,
            check=True,
        )
        store = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, RecursionError):
        return None
    return store if isinstance(store, dict) else None


def _credentials(store: Mapping[str, Any]) -> Credentials:
    manifests, active = store["manifests"], store["active_manifest"]
    manifest = manifests[active]
    signature = manifest.get("signature_info") or {}
    problems = [str(problem["code"]) for problem in _failures(store)]
    names = dict.fromkeys(quoted(signature.get(key)) for key in ("common_name", "issuer"))
    programs = [_program(program) for program in manifest.get("claim_generator_info") or ()]
    ingredients = [quoted(ingredient.get("title")) for ingredient in manifest.get("ingredients") or ()]
    others = [other for label, other in manifests.items() if label != active]
    actions = [
        *_actions(manifest, ingredient=False),
        *(action for other in others for action in _actions(other, ingredient=True)),
    ]
    return Credentials(
        state=_state(problems, str(store.get("validation_state"))),
        signer=", ".join(filter(None, names)),
        signed_at=quoted(signature.get("time")),
        program=", ".join(filter(None, programs)) or quoted(manifest.get("claim_generator")),
        actions=tuple(dict.fromkeys(actions))[:_MOST],
        ingredients=tuple(filter(None, ingredients))[:_MOST],
        problems=tuple(map(quoted, dict.fromkeys(problems)))[:_MOST],
    )


def _failures(store: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the validation failures of the image's own manifest, and of what it states about ingredients."""
    results = store.get("validation_results") or {}
    yield from (results.get("activeManifest") or {}).get("failure") or ()
    for ingredient in results.get("ingredientDeltas") or ():
        yield from ingredient["validationDeltas"].get("failure") or ()


def _state(problems: Sequence[str], judged: str) -> State:
    other_picture = {
        problem
        for problem in problems
        if problem.startswith(("assertion.dataHash.", "assertion.boxesHash.", "assertion.bmffHash."))
    }
    if set(problems) - other_picture - {"signingCredential.untrusted"}:
        return State.BROKEN
    if other_picture:
        return State.ALTERED
    return {"Trusted": State.TRUSTED, "Valid": State.UNVOUCHED}.get(judged, State.BROKEN)


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


def _host(address: bytes) -> str:
    try:
        return quoted(urlsplit(address.decode("ascii")).hostname)
    except ValueError:
        return ""


# Wording


_GENERATORS = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
_SOURCES = {
    "trainedAlgorithmicMedia": "made by a generator (AI)",
    "compositeWithTrainedAlgorithmicMedia": "partly made by a generator (AI)",
    "algorithmicMedia": "drawn by a program",
    "compositeSynthetic": "composed with artificial parts",
    "composite": "composed of several pictures",
    "compositeCapture": "composed of several photographs",
    "algorithmicallyEnhanced": "enhanced by a program",
    "digitalCapture": "taken with a camera",
    "computationalCapture": "taken with a camera and processed by a program",
    "digitalCreation": "drawn by a person",
    "digitalArt": "drawn by a person",
    "humanEdits": "edited by a person",
    "minorHumanEdits": "slightly edited by a person",
    "screenCapture": "captured from a screen",
    "virtualRecording": "recorded from a virtual scene",
}
_NO_EDITS = ("created", "opened", "published", "converted", "repackaged", "transcoded", "translated")
"""Actions that do not change what a picture shows."""


def _generated(action: Action) -> bool:
    return action.source in _GENERATORS


def _edits(actions: Sequence[Action]) -> list[str]:
    """Return what was done to the image itself, in words, without duplicates."""
    return list(
        dict.fromkeys(
            action.action.replace("_", " ")
            for action in actions
            if action.action not in _NO_EDITS and not action.ingredient
        )
    )


def _sentences(found: Credentials) -> Iterator[str]:
    signer = f" by {found.signer}" if found.signer else ""
    when = f" on {found.signed_at}" if found.signed_at else ""
    match found.state:
        case State.ELSEWHERE:
            place = f" at {found.place}" if found.place else ""
            yield f"The file refers to Content Credentials that are kept{place}; they were not fetched."
        case State.UNREADABLE:
            yield "The file carries Content Credentials that cannot be read; they may be damaged."
        case State.BROKEN:
            yield f"The Content Credentials, signed{signer}{when}, are not valid: changed or damaged."
        case State.ALTERED:
            yield f"The picture was changed after it was signed{signer}{when}: it is not the one signed."
        case State.TRUSTED:
            yield f"Signed{signer}{when}, and unchanged since."
        case State.UNVOUCHED:
            yield f"Signed{signer}{when}, and unchanged since; the signer's identity is not verified."
    for source in dict.fromkeys((action.source, action.ingredient) for action in found.actions):
        if words := _SOURCES.get(source[0]):
            programs = ", ".join(
                dict.fromkeys(
                    action.program
                    for action in found.actions
                    if (action.source, action.ingredient) == source and action.program
                )
            )
            what = "Something it was made from is declared" if source[1] else "Declared"
            yield f"{what} as {words}{f', with {programs}' if programs else ''}."
    if edits := _edits(found.actions):
        yield f"Declared edits: {', '.join(edits)}."
