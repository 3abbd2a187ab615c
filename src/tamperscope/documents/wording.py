"""The sentences of a report in the current language. They claim no more than was measured.

Sentences that a report already contains, such as the headline of its origin, are expected in that language:
see `translation`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tamperscope.languages import current, entry, say, say_count
from tamperscope.origin import Basis, Claim, Origin, OriginKind
from tamperscope.report import (
    NOTABLE,
    Box,
    ErrorRates,
    ManipulationType,
    OperatingPoints,
    Verdict,
    percent,
    printed_score,
)

_HEADLINES = {
    Verdict.MANIPULATED: entry("Manipulated"),
    Verdict.AUTHENTIC: entry("No manipulation found"),
    Verdict.INCONCLUSIVE: entry("Inconclusive"),
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

_BASES = {
    Basis.PROVEN: entry("Proven by a valid signature"),
    Basis.SIGNED: entry("Declared under a valid signature"),
    Basis.DECLARED: entry("Declared"),
}
"""What a claim of the origin rests on, in words."""


def verdict(of: Verdict) -> str:
    """Return a verdict in words."""
    return say(_HEADLINES[of])


def headline(verdict: Verdict, origin: Origin) -> str:
    """Return the first words of a report: the verdict, or a telling origin that the file declares."""
    if origin.kind is OriginKind.CHANGED:
        return say("Manipulated: {finding}", finding=in_sentence(origin.headline))
    if origin.kind is OriginKind.GENERATED or (
        origin.kind in _OWN_HEADLINE and verdict is not Verdict.MANIPULATED
    ):
        return origin.headline
    return say(_HEADLINES[verdict])


def claim_label(claim: Claim) -> str:
    """Return what a claim rests on and which part of the file says it."""
    return f"{say(_BASES[claim.basis])}: {claim.source}"


_KINDS = {
    ManipulationType.SPLICING: (entry("Splicing"), entry("a part of another picture was pasted in")),
    ManipulationType.COPYMOVE: (
        entry("Copy-move"),
        entry("a part of the picture was copied to another place in it"),
    ),
    ManipulationType.INPAINTING: (
        entry("Inpainting"),
        entry("something was removed, and software filled the gap"),
    ),
    ManipulationType.FACE: (entry("Face"), entry("a face was swapped or altered")),
}


def kind(of: ManipulationType) -> tuple[str, str]:
    """Return the name and the meaning of a manipulation type."""
    name, meaning = _KINDS[of]
    return say(name), say(meaning)


def kinds_caveat() -> str:
    """Return what the shares of the manipulation types do not show."""
    return say(
        "The four shares add up to 1 for every picture, even an authentic one. They do not show whether it "
        "was manipulated."
    )


def meaning(verdict: Verdict, score: float, points: OperatingPoints | None, origin: Origin) -> str:
    """Return what a verdict rests on and how often it is wrong."""
    printed = printed_score(score)
    if origin.rule is not None and verdict is not by_score(score, points):
        return f"{origin.rule.text} {say('The score is {score}.', score=printed)}"
    if points is None:
        return say(
            "The score is {score}. How often this model is wrong has not been measured, so its score "
            "allows no verdict.",
            score=printed,
        )
    printed, lower, upper = _apart(score, points.authentic_below, points.manipulated_above)
    if verdict is Verdict.MANIPULATED:
        return say(
            "The score of {score} is above {limit}, which at most {rate} of the authentic images exceeded "
            "when the model was measured. Authentic pictures can score this high: check the marked regions "
            "and the evidence.",
            score=printed,
            limit=upper,
            rate=percent(points.false_alarm_rate),
        )
    if verdict is Verdict.AUTHENTIC:
        return say(
            "The score of {score} is below {limit}. When the model was measured, at most {rate} of the "
            "manipulated images scored that low. This speaks in the picture's favour, but proves nothing.",
            score=printed,
            limit=lower,
            rate=percent(points.miss_rate),
        )
    if not points.authentic_below <= score <= points.manipulated_above:
        return say(
            "The score of {score} allows no verdict. How often it is wrong was measured on photographs, "
            "and this picture does not appear to be one.",
            score=printed,
        )
    return say(
        "The score of {score} lies between {lower} and {upper}. Both authentic and manipulated images are "
        "common in this range, and the traces in this one are not enough to tell which it is.",
        score=printed,
        lower=lower,
        upper=upper,
    )


def _apart(score: float, *limits: float) -> tuple[str, ...]:
    """Return a score and its limits with as many digits as show on which side of each limit it is."""
    for digits in (2, 3, 4):
        printed = tuple(printed_score(value, digits) for value in (score, *limits))
        if printed[0] not in printed[1:]:
            return printed
    return tuple(map(printed_score, (score, *limits)))


def error_rates(rates: ErrorRates | None) -> str:
    """Return how often verdicts on files like this one were wrong, in words; empty if not measured."""
    if rates is None:
        return ""
    return say(
        "Among {files}, {false_alarms} of {authentic} authentic images were called manipulated when the "
        "model was calibrated, and {misses} of {manipulated} manipulated images authentic.",
        files=rates.files,
        false_alarms=str(rates.false_alarms),
        authentic=str(rates.authentic_images),
        misses=str(rates.misses),
        manipulated=str(rates.manipulated_images),
    )


def by_score(score: float, points: OperatingPoints | None) -> Verdict:
    """Return the verdict of the score alone."""
    if points is None or points.authentic_below <= score <= points.manipulated_above:
        return Verdict.INCONCLUSIVE
    return Verdict.MANIPULATED if score > points.manipulated_above else Verdict.AUTHENTIC


def limits(points: OperatingPoints | None) -> tuple[str, ...]:
    """Return what a reader must know before acting on a report."""
    measured = (
        (
            say(
                "The two limits of the score were set on {authentic} authentic and {manipulated} manipulated "
                "images. At most {false_alarm_rate} of the former score above the upper limit, and at most "
                "{miss_rate} of the latter score below the lower one. Error rates can be higher for pictures "
                "of another origin or processing, and rates from so few images are estimates.",
                authentic=str(points.authentic_images),
                manipulated=str(points.manipulated_images),
                false_alarm_rate=percent(points.false_alarm_rate),
                miss_rate=percent(points.miss_rate),
            ),
            say(
                "The score treats authentic and manipulated pictures as equally common. Where manipulated "
                "ones are rare, more of the alarms are false."
            ),
        )
        if points
        else (say("The error rates of this model are unknown."),)
    )
    return (
        say("This report was made by an automatic analysis. It is a lead for human judgement, not proof."),
        *measured,
        say(
            "Compression, scaling, screenshots and messaging apps erase traces. Finding none does not show "
            "that a picture is authentic."
        ),
        say(
            "Marked regions are approximate. They can be incomplete or wrong even where the verdict is right."
        ),
        say(
            "Only the file was examined. It cannot show whether the scene was staged, or whether the "
            "caption, date and place are true. A picture made entirely by an image generator may carry "
            "none of these traces."
        ),
    )


def strength(value: float) -> str:
    """Return in words how unusual an image is, from the strength of a measurement's evidence, 0 to 1."""
    if value >= (1 + NOTABLE) / 2:
        return say("very unusual")
    if value >= NOTABLE:
        return say("unusual")
    if value >= NOTABLE / 2:
        return say("slightly unusual")
    return say("nothing unusual")


def signature(signer: str) -> str:
    """Return how a reader checks who signed a report; `signer` is the key in words."""
    return say(
        "This file is signed by {signer}. Check it with the command: tamperscope verify.", signer=signer
    )


def strengths() -> str:
    """Return what the strengths of the evidence mean."""
    return say(
        "Each measurement finds “unusual” evidence in at most three in a hundred authentic photos. "
        "With several measurements, at least one of them does so more often than that."
    )


def title(name: str) -> str:
    """Return the English title of a measurement from its name in the API."""
    return name.replace("_", " ").capitalize().replace("jpeg", "JPEG").replace("Jpeg", "JPEG")


def measurement(name: str) -> str:
    """Return the title of a measurement from its name in the API."""
    return say(title(name))


_IN_A_SENTENCE = {
    "network_map": entry("the neural network"),
    "clones": entry("the search for copies"),
    "double_jpeg": entry("double JPEG compression"),
    "jpeg_grid": entry("the JPEG grid"),
    "metadata": entry("the metadata"),
    "noise": entry("the noise"),
    "provenance": entry("the provenance record"),
    "quantisation": entry("the quantisation tables"),
    "resampling": entry("traces of resampling"),
    "structure": entry("the structure of the file"),
}
PLURALS = frozenset({"jpeg_ghosts", "metadata", "quantisation", "resampling"})
"""Measurements whose name in a sentence is a plural."""


def measurements(names: Sequence[str]) -> str:
    """Return measurements as the words of a sentence, such as `the noise and JPEG ghosts`."""
    words = [say(_IN_A_SENTENCE.get(name, title(name))) for name in names]
    if len(words) == 1:
        return words[0]
    return say("{several} and {last}", several=say(", ").join(words[:-1]), last=words[-1])


def say_of(names: Sequence[str], one: str, many: str, /, **values: str) -> str:
    """Return a sentence about measurements, which begins with `{names}`, in its singular or plural."""
    count = 2 if len(names) > 1 or names[0] in PLURALS else 1
    return say_count(count, one, many, names=capital(measurements(names)), **values)


def versions(aligned: bool, places: Sequence[str], shared: float) -> str:
    """Return what comparing two pictures found; `places` are those of the differences, as `located`."""
    if not aligned:
        return say("The two pictures could not be laid over each other: they may not show the same scene.")
    part = (
        ""
        if shared > 0.98
        else say("The second covers {share} of the first; only that was compared.", share=percent(shared))
    )
    if not places:
        told = say(
            "Both pictures show the same scene, and no region differs by more than compression and scaling "
            "do."
        )
        return f"{told} {part}".strip()
    words = list(dict.fromkeys(places))
    where = say("{several} and {last}", several=say(", ").join(words[:-1]), last=words[-1])
    told = say_count(
        len(places),
        "Both pictures show the same scene. {count} region differs: {where}.",
        "Both pictures show the same scene. {count} regions differ: {where}.",
        where=where if len(words) > 1 else words[0],
    )
    return f"{told} {part}".strip()


def capital(text: str) -> str:
    """Return text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def in_sentence(text: str) -> str:
    """Return a sentence as it stands within another one, as far as languages write that differently."""
    return text if current() == "de" else text[:1].lower() + text[1:]


def located(box: Box, width: int, height: int) -> str:
    """Return the place of a box, as `place`, as it stands in a sentence: `at the upper left`."""
    return say(_LOCATED[_ninth(box, width, height)])


def place(box: Box, width: int, height: int) -> str:
    """Return which ninth of an image of `width` x `height` pixels holds the centre of a box."""
    return say(_ninth(box, width, height))


_LOCATED = {
    entry("upper left"): entry("at the upper left"),
    entry("upper"): entry("at the top"),
    entry("upper right"): entry("at the upper right"),
    entry("left"): entry("on the left"),
    entry("centre"): entry("in the centre"),
    entry("right"): entry("on the right"),
    entry("lower left"): entry("at the lower left"),
    entry("lower"): entry("at the bottom"),
    entry("lower right"): entry("at the lower right"),
}


def _ninth(box: Box, width: int, height: int) -> str:
    across = ("left", "", "right")[min(2, int(3 * (box.x + box.width / 2) / width))]
    down = ("upper", "", "lower")[min(2, int(3 * (box.y + box.height / 2) / height))]
    return f"{down} {across}".strip() or "centre"


def size(byte_count: int) -> str:
    """Return a file size that is easy to read, with the exact number of bytes."""
    if byte_count < 1000:
        return say("{count} bytes", count=byte_count)
    amount, unit = (byte_count / 1e6, "MB") if byte_count >= 999_500 else (byte_count / 1e3, "kB")
    return say("{amount} {unit} ({count} bytes)", amount=f"{amount:.3g}", unit=unit, count=byte_count)
