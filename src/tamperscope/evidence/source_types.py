"""IPTC's digital source types, which XMP and Content Credentials use to declare how pixels were made.

See https://cv.iptc.org/newscodes/digitalsourcetype/.
"""

from __future__ import annotations

from dataclasses import dataclass

from tamperscope.origin import OriginKind


@dataclass(frozen=True)
class SourceType:
    """One term of the vocabulary."""

    term: str
    kind: OriginKind
    words: str
    """What it declares, after "Declared as"."""


def source_type(value: str) -> SourceType | None:
    """Return the term that a value names, as an address or alone, in any case; None if it names none."""
    return _TYPES.get(value.strip().rstrip("/").rpartition("/")[2].rpartition("#")[2].lower())


_TYPES = {
    each.term.lower(): each
    for each in (
        SourceType("trainedAlgorithmicMedia", OriginKind.GENERATED, "made by a generator (AI)"),
        SourceType(
            "compositeWithTrainedAlgorithmicMedia", OriginKind.AI_EDITED, "partly made by a generator (AI)"
        ),
        SourceType("compositeSynthetic", OriginKind.COMPOSITED, "composed with artificial parts"),
        SourceType("composite", OriginKind.COMPOSITED, "composed of several pictures"),
        SourceType("compositeCapture", OriginKind.COMPOSITED, "composed of several photographs"),
        SourceType("algorithmicMedia", OriginKind.DRAWN, "drawn by a program"),
        SourceType("dataDrivenMedia", OriginKind.DRAWN, "drawn by a program from data"),
        SourceType("digitalCreation", OriginKind.DRAWN, "drawn by a person"),
        SourceType("digitalArt", OriginKind.DRAWN, "drawn by a person"),
        SourceType("softwareImage", OriginKind.DRAWN, "drawn with a program"),
        SourceType("virtualRecording", OriginKind.DRAWN, "recorded from a virtual scene"),
        SourceType("screenCapture", OriginKind.SCREENSHOT, "captured from a screen"),
        SourceType("humanEdits", OriginKind.EDITED, "edited by a person"),
        SourceType("minorHumanEdits", OriginKind.EDITED, "slightly edited by a person"),
        SourceType("algorithmicallyEnhanced", OriginKind.EDITED, "enhanced by a program"),
        SourceType("digitalCapture", OriginKind.CAPTURED, "taken with a camera"),
        SourceType(
            "computationalCapture",
            OriginKind.CAPTURED,
            "taken with a camera and processed by a program",
        ),
        SourceType("negativeFilm", OriginKind.CAPTURED, "scanned from a negative"),
        SourceType("positiveFilm", OriginKind.CAPTURED, "scanned from a slide"),
        SourceType("print", OriginKind.CAPTURED, "scanned from a print"),
    )
}
