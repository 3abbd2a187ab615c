"""The sentences of a report, which claim no more than was measured."""

from __future__ import annotations

from collections.abc import Sequence

from tamperscope.origin import Basis, Claim, Origin, OriginKind
from tamperscope.report import (
    NOTABLE,
    Box,
    ErrorRates,
    ManipulationType,
    OperatingPoints,
    Verdict,
    printed_score,
)

HEADLINES = {
    Verdict.MANIPULATED: "Manipulated",
    Verdict.AUTHENTIC: "No manipulation found",
    Verdict.INCONCLUSIVE: "Inconclusive",
}

_OWN_HEADLINE = frozenset(
    {
        OriginKind.CHANGED,
        OriginKind.GENERATED,
        OriginKind.AI_EDITED,
        OriginKind.COMPOSITED,
        OriginKind.DRAWN,
        OriginKind.SCREENSHOT,
    }
)
"""Origins that a reader must see first, whatever the score."""

BASES = {
    Basis.PROVEN: "Proven by a valid signature",
    Basis.SIGNED: "Declared under a valid signature",
    Basis.DECLARED: "Declared",
}
"""What a claim of the origin rests on, in words."""


def headline(verdict: Verdict, origin: Origin) -> str:
    """Return the first words of a report: the verdict, or a telling origin that the file declares."""
    if origin.kind is OriginKind.CHANGED:
        return f"Manipulated: {origin.headline[:1].lower()}{origin.headline[1:]}"
    if origin.kind is OriginKind.GENERATED or (
        origin.kind in _OWN_HEADLINE and verdict is not Verdict.MANIPULATED
    ):
        return origin.headline
    return HEADLINES[verdict]


def claim_label(claim: Claim) -> str:
    """Return what a claim rests on and which part of the file says it."""
    return f"{BASES[claim.basis]}: {claim.source}"


KINDS = {
    ManipulationType.SPLICING: ("Splicing", "a part of another picture was pasted in"),
    ManipulationType.COPYMOVE: ("Copy-move", "a part of the picture was copied to another place in it"),
    ManipulationType.INPAINTING: ("Inpainting", "something was removed, and software filled the gap"),
    ManipulationType.FACE: ("Face", "a face was swapped or altered"),
}
"""Name and meaning of each manipulation type."""

KINDS_CAVEAT = (
    "The four shares add up to 1 for every picture, even an authentic one. They do not show whether it was "
    "manipulated."
)


def meaning(verdict: Verdict, score: float, points: OperatingPoints | None, origin: Origin) -> str:
    """Return what a verdict rests on and how often it is wrong."""
    printed = printed_score(score)
    if origin.rule is not None and verdict is not _by_score(score, points):
        return f"{origin.rule.text} The score is {printed}."
    if points is None:
        return (
            f"The score is {printed}. How often this model is wrong has not been measured, so its score "
            "allows no verdict."
        )
    lower, upper = printed_score(points.authentic_below), printed_score(points.manipulated_above)
    if verdict is Verdict.MANIPULATED:
        return (
            f"The score of {printed} is above {upper}, which at most "
            f"{percent(points.false_alarm_rate)} of the authentic images exceeded when the model was "
            "measured. Authentic pictures can score this high: check the marked regions and the evidence."
        )
    if verdict is Verdict.AUTHENTIC:
        return (
            f"The score of {printed} is below {lower}. When the model was measured, at most "
            f"{percent(points.miss_rate)} of the manipulated images scored that low. "
            "This speaks in the picture's favour, but proves nothing."
        )
    if not points.authentic_below <= score <= points.manipulated_above:
        return (
            f"The score of {printed} allows no verdict. How often it is wrong was measured on photographs, "
            "and this picture does not appear to be one."
        )
    return (
        f"The score of {printed} lies between {lower} and {upper}. Both authentic and manipulated images are "
        "common in this range, and the traces in this one are not enough to tell which it is."
    )


def error_rates(rates: ErrorRates | None) -> str:
    """Return how often verdicts on files like this one were wrong, in words; empty if not measured."""
    if rates is None:
        return ""
    return (
        f"Among {rates.files}, {rates.false_alarms} of {rates.authentic_images} authentic images were called "
        f"manipulated when the model was calibrated, and {rates.misses} of {rates.manipulated_images} "
        "manipulated images authentic."
    )


def _by_score(score: float, points: OperatingPoints | None) -> Verdict:
    """Return the verdict of the score alone."""
    if points is None or points.authentic_below <= score <= points.manipulated_above:
        return Verdict.INCONCLUSIVE
    return Verdict.MANIPULATED if score > points.manipulated_above else Verdict.AUTHENTIC


def limits(points: OperatingPoints | None) -> tuple[str, ...]:
    """Return what a reader must know before acting on a report."""
    measured = (
        (
            f"The two limits of the score were set on {points.authentic_images} authentic and "
            f"{points.manipulated_images} manipulated images. At most {percent(points.false_alarm_rate)} "
            f"of the former score above the upper limit, and at most {percent(points.miss_rate)} of the "
            "latter score below the lower one. Error rates can be higher for pictures of another origin or "
            "processing, and rates from so few images are estimates.",
            "The score treats authentic and manipulated pictures as equally common. Where manipulated ones "
            "are rare, more of the alarms are false.",
        )
        if points
        else ("The error rates of this model are unknown.",)
    )
    return (
        "This report was made by an automatic analysis. It is a lead for human judgement, not proof.",
        *measured,
        "Compression, scaling, screenshots and messaging apps erase traces. Finding none does not show that "
        "a picture is authentic.",
        "Marked regions are approximate. They can be incomplete or wrong even where the verdict is right.",
        "Only the file was examined. It cannot show whether the scene was staged, or whether the caption, "
        "date and place are true. A picture made entirely by an image generator may carry none of these "
        "traces.",
    )


def strength(value: float) -> str:
    """Return in words how unusual an image is, from the strength of a measurement's evidence, 0 to 1."""
    if value >= (1 + NOTABLE) / 2:
        return "very unusual"
    if value >= NOTABLE:
        return "unusual"
    if value >= NOTABLE / 2:
        return "slightly unusual"
    return "nothing unusual"


def signature(signer: str) -> str:
    """Return how a reader checks who signed a report; `signer` is the key in words."""
    return f"This file is signed by {signer}. Check it with the command: tamperscope verify."


STRENGTHS = (
    "Each measurement finds “unusual” evidence in at most three in a hundred authentic photos. "
    "With several measurements, at least one of them does so more often than that."
)


def measurement(name: str) -> str:
    """Return the title of a measurement from its name in the API."""
    return name.replace("_", " ").capitalize().replace("jpeg", "JPEG").replace("Jpeg", "JPEG")


_IN_A_SENTENCE = {
    "network_map": "the neural network",
    "clones": "the search for copies",
    "double_jpeg": "double JPEG compression",
    "jpeg_grid": "the JPEG grid",
    "metadata": "the metadata",
    "noise": "the noise",
    "provenance": "the provenance record",
    "quantisation": "the quantisation tables",
    "resampling": "traces of resampling",
    "structure": "the structure of the file",
}
PLURALS = frozenset({"jpeg_ghosts", "metadata", "quantisation", "resampling"})
"""Measurements whose name in a sentence is a plural."""


def measurements(names: Sequence[str]) -> str:
    """Return measurements as the words of a sentence, such as `the noise and JPEG ghosts`."""
    words = [_IN_A_SENTENCE.get(name, measurement(name)) for name in names]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def versions(aligned: bool, places: Sequence[str], shared: float) -> str:
    """Return what the comparison of two pictures found; `places` are those of the differences."""
    if not aligned:
        return "The two pictures could not be laid over each other: they may not show the same scene."
    part = (
        "" if shared > 0.98 else f" The second covers {percent(shared)} of the first; only that was compared."
    )
    if not places:
        return (
            "Both pictures show the same scene, and no region differs by more than compression and scaling "
            f"do.{part}"
        )
    count_of = count(len(places), "region differs", "regions differ")
    where = places_of(places)
    return f"Both pictures show the same scene. {count_of}: {where}.{part}"


def places_of(places: Sequence[str]) -> str:
    """Return places as the words of a sentence, each once."""
    words = list(dict.fromkeys(located(place) for place in places))
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def capital(text: str) -> str:
    """Return text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def count(number: int, one: str, many: str) -> str:
    """Return a number with the word for one or for many."""
    return f"{number:,} {one if number == 1 else many}"


def located(where: str) -> str:
    """Return a place as `place` names it, as it stands in a sentence: `at the upper left`."""
    return {
        "centre": "in the centre",
        "upper": "at the top",
        "lower": "at the bottom",
        "left": "on the left",
        "right": "on the right",
    }.get(where, f"at the {where}")


def place(box: Box, width: int, height: int) -> str:
    """Return which ninth of an image of `width` x `height` pixels holds the centre of a box."""
    across = ("left", "", "right")[min(2, int(3 * (box.x + box.width / 2) / width))]
    down = ("upper", "", "lower")[min(2, int(3 * (box.y + box.height / 2) / height))]
    return f"{down} {across}".strip() or "centre"


def percent(share: float) -> str:
    """Return a share, 0 to 1, as a percentage with at most one decimal: `2 %`, `0.4 %` or `< 0.1 %`."""
    if 0 < share < 0.0005:
        return "<\N{NO-BREAK SPACE}0.1\N{NO-BREAK SPACE}%"
    digits = 0 if share == 0 or share >= 0.0995 else 1
    return f"{100 * share:.{digits}f}".removesuffix(".0") + "\N{NO-BREAK SPACE}%"


def size(byte_count: int) -> str:
    """Return a file size that is easy to read, with the exact number of bytes."""
    if byte_count < 1000:
        return f"{byte_count} bytes"
    amount, unit = (byte_count / 1e6, "MB") if byte_count >= 999_500 else (byte_count / 1e3, "kB")
    return f"{amount:.3g} {unit} ({byte_count:,} bytes)"
