"""What a report says in words: never more than was measured."""

from __future__ import annotations

from tamperscope.report import NOTABLE, Box, ManipulationType, OperatingPoints, Verdict, printed_score

HEADLINES = {
    Verdict.MANIPULATED: "Manipulated",
    Verdict.AUTHENTIC: "No manipulation found",
    Verdict.INCONCLUSIVE: "Inconclusive",
}

KINDS = {
    ManipulationType.SPLICING: ("Splicing", "a part of another picture was pasted in"),
    ManipulationType.COPYMOVE: ("Copy-move", "a part of the picture was copied to another place in it"),
    ManipulationType.INPAINTING: ("Inpainting", "something was removed, and the gap filled in by software"),
    ManipulationType.FACE: ("Face", "a face was exchanged or altered"),
}
"""Name and meaning of each manipulation type."""

KINDS_CAVEAT = (
    "The four shares add up to 1 for every picture, an authentic one too: they say nothing about whether it "
    "was manipulated."
)


def meaning(verdict: Verdict, score: float, points: OperatingPoints | None) -> str:
    """Return what a verdict rests on and how often it is wrong."""
    printed = printed_score(score)
    if points is None:
        return (
            f"The score is {printed}. Nobody has measured how often this model is wrong, so its score "
            "allows no verdict."
        )
    lower, upper = printed_score(points.authentic_below), printed_score(points.manipulated_above)
    if verdict is Verdict.MANIPULATED:
        return (
            f"The score of {printed} is above {upper}, which at most "
            f"{percent(points.false_alarm_rate)} of the authentic images exceeded when the model was "
            "measured. Honest pictures can be among those: look at the marked areas and at the evidence."
        )
    if verdict is Verdict.AUTHENTIC:
        return (
            f"The score of {printed} is below {lower}. So were at most "
            f"{percent(points.miss_rate)} of the manipulated images when the model was measured: "
            "this speaks for the picture, and proves nothing."
        )
    if not points.authentic_below <= score <= points.manipulated_above:
        return (
            f"The score of {printed} allows no verdict: how often it is wrong was measured on photographs, "
            "and this picture is none, as far as can be seen."
        )
    return (
        f"The score of {printed} lies between {lower} and {upper}. In this range both "
        "authentic and manipulated images are common, "
        "and the traces in this one do not suffice to tell which it is."
    )


def limits(points: OperatingPoints | None) -> tuple[str, ...]:
    """Return what a reader must know before acting on a report."""
    measured = (
        (
            f"The two limits of the score were set on {points.authentic_images} authentic and "
            f"{points.manipulated_images} manipulated images: at most {percent(points.false_alarm_rate)} "
            f"of the former lie above the upper one, at most {percent(points.miss_rate)} of the latter below "
            "the lower one. Pictures of another origin or processing can fare worse, and rates from so few "
            "images are estimates.",
            "The score treats authentic and manipulated pictures as equally common. Where manipulated ones "
            "are rare, more of the alarms are false.",
        )
        if points
        else ("The error rates of this model are unknown.",)
    )
    return (
        "An automatic analysis made this report. It is a lead for a person who judges, not a proof.",
        *measured,
        "Compression, scaling, screenshots and messengers erase traces: finding none does not show that a "
        "picture is authentic.",
        "Marked areas are approximate, and can be incomplete or wrong even where the verdict is right.",
        "Only the file was examined. Whether the scene was staged, or its caption, date and place are true, "
        "cannot be seen in it. A picture that a generator made as a whole may carry none of these traces.",
    )


def strength(value: float) -> str:
    """Return in words how unusual an image is to a measurement, 0 to 1."""
    if value >= (1 + NOTABLE) / 2:
        return "very unusual"
    if value >= NOTABLE:
        return "unusual"
    if value >= NOTABLE / 2:
        return "slightly unusual"
    return "nothing unusual"


STRENGTHS = (
    "“Unusual” evidence is found in at most three of a hundred authentic photos, for each measurement. "
    "With several measurements, one of them is unusual more often than that."
)


def measurement(name: str) -> str:
    """Return the title of a measurement from its name in the API."""
    return name.replace("_", " ").capitalize().replace("jpeg", "JPEG").replace("Jpeg", "JPEG")


def place(box: Box, width: int, height: int) -> str:
    """Return in which ninth of an image of `width` x `height` pixels the middle of a box lies."""
    across = ("left", "", "right")[min(2, int(3 * (box.x + box.width / 2) / width))]
    down = ("upper", "", "lower")[min(2, int(3 * (box.y + box.height / 2) / height))]
    return f"{down} {across}".strip() or "centre"


def percent(share: float) -> str:
    """Return a share as percent with as many digits as matter, such as `2 %` or `0.4 %`."""
    digits = 0 if share == 0 or share >= 0.0995 else 1
    return f"{100 * share:.{digits}f}".removesuffix(".0") + "\N{NO-BREAK SPACE}%"


def size(byte_count: int) -> str:
    """Return a file size for people, with the exact number."""
    if byte_count < 1000:
        return f"{byte_count} bytes"
    amount, unit = (byte_count / 1e6, "MB") if byte_count >= 999_500 else (byte_count / 1e3, "kB")
    return f"{amount:.3g} {unit} ({byte_count:,} bytes)"
