"""Where a file says it comes from: what is proven, what is declared, by which part of it, and the headline.

report.origin.headline                    # such as "Declared as generated with Midjourney"
report.origin.claims[0].basis             # proven or declared
report.origin.rule                        # the rule by which it moved the verdict; None if none did
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


class OriginKind(enum.StrEnum):
    """What a claim says about a picture, the most telling kind first."""

    CHANGED = "changed"
    """The file is not the one that was signed."""
    GENERATED = "generated"
    """Made by an image generator."""
    AI_EDITED = "ai_edited"
    """A photo with generated parts."""
    COMPOSITED = "composited"
    """Composed of several pictures."""
    DRAWN = "drawn"
    """Drawn or rendered, by a person or a program."""
    SCREENSHOT = "screenshot"
    EDITED = "edited"
    CAPTURED = "captured"
    """Taken with a camera."""
    RESAVED = "resaved"
    """Saved again by a website, a messenger or a viewer."""
    UNKNOWN = "unknown"
    """The file says nothing about its origin."""


class Basis(enum.StrEnum):
    """What a claim rests on."""

    PROVEN = "proven"
    """A valid signature."""
    SIGNED = "signed"
    """A declaration inside a valid signature: unchanged since, and as reliable as the signer."""
    DECLARED = "declared"
    """Metadata, which anyone can write."""


@dataclass(frozen=True)
class Claim:
    """One thing that a part of the file says about its origin."""

    kind: OriginKind
    basis: Basis
    source: str
    """The part that says it, such as `Content Credentials` or `XMP DigitalSourceType`."""
    text: str
    """The claim in one sentence."""
    belief: str
    """How far to believe it, in one sentence."""
    program: str = ""
    """The program, device or signer that it names; empty if it names none."""
    strength: float = 0.0
    """How unusual such a claim is on an authentic photo, 0 to 1, as the strength of evidence."""


@dataclass(frozen=True)
class AppliedRule:
    """The rule by which the origin decided, or limited, the verdict."""

    name: str
    text: str


@dataclass(frozen=True)
class Origin:
    """What a file proves and declares about where it comes from."""

    kind: OriginKind
    """The most telling kind of claim."""
    headline: str
    claims: tuple[Claim, ...] = ()
    """The most telling first."""
    rule: AppliedRule | None = None
    """None if no rule applies, and the score alone gives the verdict."""

    def to_json(self) -> dict[str, Any]:
        """Return the origin in types that `json.dumps` takes."""
        return {
            "kind": self.kind.value,
            "headline": self.headline,
            "claims": [
                {**asdict(claim), "kind": claim.kind.value, "basis": claim.basis.value}
                for claim in self.claims
            ],
            "rule": None if self.rule is None else asdict(self.rule),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Self:
        """Read back what `to_json` returned; records of earlier versions have no origin."""
        if document is None:
            return cls(OriginKind.UNKNOWN, NOTHING_DECLARED)
        rule = document["rule"]
        return cls(
            kind=OriginKind(document["kind"]),
            headline=document["headline"],
            claims=tuple(
                Claim(**{**claim, "kind": OriginKind(claim["kind"]), "basis": Basis(claim["basis"])})
                for claim in document["claims"]
            ),
            rule=AppliedRule(**rule) if rule else None,
        )


NOTHING_DECLARED = "The file declares nothing about its origin"
UNKNOWN_ORIGIN = Origin(OriginKind.UNKNOWN, NOTHING_DECLARED)
