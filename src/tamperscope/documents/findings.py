"""What a report found, in words, region by region, and what to do next.

These are the first lines of the page and of every report: a reader learns what was found before any number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tamperscope.documents import wording
from tamperscope.languages import entry, say, say_count, translated
from tamperscope.origin import OriginKind
from tamperscope.report import Box, ManipulationType, Region, ReportRecord, Verdict, percent

SMALLEST_SHARE = 0.001
"""Share of the picture below which a region without a verified copy is minor."""
_SAME_PLACE = 0.5
"""Least overlap, as intersection over union of two boxes, from which they are the same region."""
_JPEG_TRACES = ("double_jpeg", "jpeg_ghosts", "jpeg_grid")
_LEADING_TYPE = 0.5
"""Share from which a manipulation type is named: below it, the networks leave it open."""


@dataclass(frozen=True)
class NamedRegion:
    """A region of a report with its label in pictures and lists."""

    region: Region
    label: str
    """`1`, or `1a` for one of two regions that repeat each other; empty for a minor region."""
    source_label: str
    """The label of the other one of the two; empty without one."""
    minor: bool
    """Whether it is probably a false alarm, which pictures leave out and lists fold away."""
    place: str
    """As `wording.place`."""
    finding: str
    """What speaks for this region and what does not, in one or two sentences."""


@dataclass(frozen=True)
class Link:
    """An address that a reader can open. Opening it sends nothing about the picture."""

    name: str
    address: str


@dataclass(frozen=True)
class Step:
    """Something to do next."""

    text: str
    message: str = ""
    """Text to copy and send."""
    links: tuple[Link, ...] = ()


REVERSE_SEARCH = (
    Link("Google Lens", "https://lens.google.com/"),
    Link("TinEye", "https://tineye.com/"),
    Link("Bing", "https://www.bing.com/visualsearch"),
    Link("Yandex", "https://yandex.com/images/"),
)

REQUEST_FOR_ORIGINAL = entry(
    "Could you send me the original file of this picture, as it came from the camera or phone? Please attach "
    "it to an e-mail or send it as a document: messengers and screenshots remove the traces that I need. "
    "When and where was it taken, with which device, and has anyone edited it?"
)


def named_regions(report: ReportRecord) -> tuple[NamedRegion, ...]:
    """Return the regions of a report in its order, numbered; the two of an undecided pair share a number.

    Its hints follow. They are minor.
    """
    labels = (*_labels(report), *[("", "")] * len(report.hints))
    return tuple(
        NamedRegion(
            region=region,
            label=label,
            source_label=source_label,
            minor=not label,
            place=wording.place(region.box, report.image.width, report.image.height),
            finding=_of_region(region, source_label),
        )
        for region, (label, source_label) in zip((*report.regions, *report.hints), labels, strict=True)
    )


def finding(report: ReportRecord, regions: Sequence[NamedRegion]) -> str:
    """Return the strongest finding of a report in words; `regions` are its `named_regions`.

    What the file proves or declares comes before what was measured.
    """
    seen = _measured(report, regions)
    return seen if report.origin.rule is None else f"{report.origin.rule.text} {seen}".strip()


def _measured(report: ReportRecord, regions: Sequence[NamedRegion]) -> str:
    if report.origin.rule is not None and report.verdict is not Verdict.AUTHENTIC and not report.drawn:
        # A rule decided the verdict, so the traces are told as the score alone has them.
        match wording.by_score(report.score, report.operating_points):
            case Verdict.AUTHENTIC if report.verdict is Verdict.INCONCLUSIVE:
                return _of_authentic(report, without=_OF_THE_FILE)
            case Verdict.AUTHENTIC:
                return _of_first(report, regions)
            case Verdict.MANIPULATED:
                return " ".join(_of_manipulated(report, regions))
    if report.verdict is Verdict.AUTHENTIC:
        return _of_authentic(report)
    if report.verdict is Verdict.MANIPULATED:
        return " ".join(_of_manipulated(report, regions))
    if report.drawn:
        return say(
            "This looks like a screenshot, a drawing or a cut-out, not like a photo. The analysis is made "
            "for photos, so it gives no verdict."
        )
    suspicion = _of_first(report, regions)
    if report.operating_points is None:
        unknown = say("How often this model is wrong is not known, so there is no verdict.")
        return f"{suspicion} {unknown}".strip()
    weak = say("The traces are too weak for a verdict.")
    if not suspicion:
        return weak
    return f"{weak} {say('The strongest: {finding}', finding=wording.in_sentence(suspicion))}"


def next_steps(report: ReportRecord, regions: Sequence[NamedRegion]) -> tuple[Step, ...]:
    """Return what a reader can do now, most useful first; `regions` are the report's `named_regions`."""
    return tuple(_steps(report, regions))


def _labels(report: ReportRecord) -> list[tuple[str, str]]:
    """Return the labels of each region and of its source."""
    labels = [("", "")] * len(report.regions)
    number = 0
    for i, region in enumerate(report.regions):
        if labels[i][0] or _minor(region, report.verdict):
            continue
        number += 1
        if region.source is None:
            labels[i] = f"{number}", ""
            continue
        labels[i] = f"{number}a", f"{number}b"
        partner = _partner(i, report.regions)
        if partner is not None:
            labels[partner] = f"{number}b", f"{number}a"
    return labels


def _minor(region: Region, verdict: Verdict) -> bool:
    return region.source is None and (verdict is Verdict.AUTHENTIC or region.area_share < SMALLEST_SHARE)


def _partner(number: int, regions: Sequence[Region]) -> int | None:
    """Return the later region that is the source of an undecided one, and whose source is that one."""
    source = regions[number].source
    if source is None or source.decided:
        return None
    for other in range(number + 1, len(regions)):
        back = regions[other].source
        if (
            back is not None
            and not back.decided
            and _overlap(_box(source.polygon), regions[other].box) > _SAME_PLACE
            and _overlap(_box(back.polygon), regions[number].box) > _SAME_PLACE
        ):
            return other
    return None


def _box(polygon: Sequence[tuple[int, int]]) -> Box:
    xs, ys = zip(*polygon, strict=True)
    return Box(min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1)


def _overlap(one: Box, other: Box) -> float:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0, across) * max(0, down)
    return shared / (one.width * one.height + other.width * other.height - shared)


def _of_region(region: Region, source_label: str) -> str:
    agreeing = [name for name, agrees in region.agreement.items() if agrees]
    silent = [name for name, agrees in region.agreement.items() if not agrees]
    sentences = []
    if region.source and source_label:
        agreeing = [name for name in agreeing if name != "clones"]
        sentences.append(
            say("Probably copied from {label}.", label=source_label)
            if region.source.decided
            else say(
                "Repeats {label}; the comparison alone does not tell which of the two is the copy.",
                label=source_label,
            )
        )
    if agreeing and sentences:
        sentences.append(wording.say_of(agreeing, "{names} marks it too.", "{names} mark it too."))
    elif agreeing:
        sentences.append(wording.say_of(agreeing, "{names} marks it.", "{names} mark it."))
    if silent:
        sentences.append(say("Not marked by {names}.", names=wording.measurements(silent)))
    return " ".join(sentences)


def _of_manipulated(report: ReportRecord, regions: Sequence[NamedRegion]) -> Iterator[str]:
    found = [named for named in regions if not named.minor]
    if not found:
        yield say(
            "The picture looks altered, but no region is certain enough to be marked. The heatmap shows "
            "where the suspicion is highest."
        )
        return
    yield _of_first(report, regions)
    first = found[0].label.rstrip("ab")
    rest = len({named.label.rstrip("ab") for named in found} - {first})
    if rest:
        yield say_count(
            rest, "{count} further finding is listed below.", "{count} further findings are listed below."
        )


def _of_first(report: ReportRecord, regions: Sequence[NamedRegion]) -> str:
    """Return what was found in the most telling region; empty without one. A verified copy tells most."""
    found = [named for named in regions if not named.minor]
    copied = [named for named in found if named.region.source]
    if copied:
        return " ".join(_of_pair(copied[0], report, regions))
    return " ".join(_of_single(found[0], report)) if found else ""


def _of_pair(named: NamedRegion, report: ReportRecord, regions: Sequence[NamedRegion]) -> Iterator[str]:
    source, image = named.region.source, report.image
    assert source is not None
    here = wording.located(named.region.box, image.width, image.height)
    there = wording.located(_box(source.polygon), image.width, image.height)
    labels = {"label": named.label, "source": named.source_label}
    yield say(
        "Two regions show the same thing: {places}.",
        places=say("{label} and {source}, both {here}", here=here, **labels)
        if here == there
        else say("{label} {here} and {source} {there}", here=here, there=there, **labels),
    )
    change = _change(report)
    if source.decided and change:
        yield say("{label} is probably the copy, {change}.", label=named.label, change=change)
    elif source.decided:
        yield say("{label} is probably the copy.", label=named.label)
    elif change:
        yield say("One is a copy of the other, {change}.", change=change)
    else:
        yield say("One is a copy of the other.")
    partner = next((other for other in regions if other.label == named.source_label), None)
    if partner and not source.decided:
        yield from _of_traces(named, partner)


def _change(report: ReportRecord) -> str:
    """Return how the copy differs, if the picture has only one: `turned by 90 degrees`; empty if not."""
    clones = report.evidence["clones"].details.get("clones", []) if "clones" in report.evidence else []
    changes = {clone.get("change") for clone in clones}
    if len(changes) != 1 or changes == {"unchanged"}:
        return ""
    return translated(str(changes.pop()))


def _of_traces(one: NamedRegion, other: NamedRegion) -> Iterator[str]:
    """Say which of two regions JPEG traces single out: what was put in later has another history."""
    for later, earlier in ((one, other), (other, one)):
        traces = [
            name
            for name in _JPEG_TRACES
            if later.region.agreement.get(name) and not earlier.region.agreement.get(name)
        ]
        if traces and not any(earlier.region.agreement.get(name) for name in _JPEG_TRACES):
            yield wording.say_of(
                traces,
                "{names} marks only {label}, so that one was probably put in later.",
                "{names} mark only {label}, so that one was probably put in later.",
                label=later.label,
            )


def _of_single(named: NamedRegion, report: ReportRecord) -> Iterator[str]:
    region, image = named.region, report.image
    values = {
        "where": wording.located(region.box, image.width, image.height),
        "label": named.label,
        "share": percent(region.area_share),
    }
    agreeing = [name for name, agrees in region.agreement.items() if agrees]
    traces = [name for name in agreeing if name in _JPEG_TRACES]
    kind = region.type or report.type
    if traces:
        yield say(
            "A region {where} ({label}), {share} of the picture, was compressed differently from the "
            "rest, as a part of another picture or a later change would be.",
            **values,
        )
    elif region.type is not None or report.type_scores.get(kind, 0) >= _LEADING_TYPE:
        yield say(
            "A region {where} ({label}), {share} of the picture, looks altered: {kind}.",
            kind=say(_SEEMS[kind]),
            **values,
        )
    else:
        yield say("A region {where} ({label}), {share} of the picture, looks altered.", **values)
    others = [name for name in agreeing if name not in traces and name != "network_map"]
    if others:
        yield wording.say_of(others, "{names} marks it too.", "{names} mark it too.")


_SEEMS = {
    ManipulationType.SPLICING: entry("it looks most like a part of another picture that was pasted in"),
    ManipulationType.COPYMOVE: entry("it looks most like a part of the picture that was copied there"),
    ManipulationType.INPAINTING: entry(
        "it looks most like a place where something was removed and filled in"
    ),
    ManipulationType.FACE: entry("it looks most like a face that was swapped or altered"),
}


_OF_THE_FILE = frozenset({"metadata", "provenance"})
"""Evidence from which the rules of the origin come."""


def _of_authentic(report: ReportRecord, without: Collection[str] = ()) -> str:
    made = [name for name, found in report.evidence.items() if found.applicable and name not in without]
    unusual = [name for name in made if report.evidence[name].notable]
    if unusual:
        told = wording.say_of(
            unusual,
            "{names} is unusual, which also happens in authentic pictures.",
            "{names} are unusual, which also happens in authentic pictures.",
        )
        return f"{say('The traces do not add up to a manipulation.')} {told}"
    if not made:
        return say("No trace of a manipulation was found.")
    return say_count(
        len(made),
        "No trace of a manipulation was found: {count} measurement, none of them unusual.",
        "No trace of a manipulation was found: {count} measurements, none of them unusual.",
    )


def _steps(report: ReportRecord, regions: Sequence[NamedRegion]) -> Iterator[Step]:
    found = [named for named in regions if not named.minor]
    original = Step(
        say("Ask for the original file. A text to send:"),
        say(REQUEST_FOR_ORIGINAL),
    )
    older = Step(
        say("Look for an older version of the picture. Open a search by image and drop the picture there:"),
        links=REVERSE_SEARCH,
    )
    if report.verdict is Verdict.AUTHENTIC:
        yield Step(
            say("Check what this analysis cannot: date, place and caption, and whether the scene was staged.")
        )
        yield older
        yield original
        return
    if report.origin.kind is OriginKind.GENERATED:
        yield Step(
            say("Read what the file declares, and ask who made the picture and for what it was published.")
        )
        yield older
        return
    if report.drawn:
        yield Step(say("Find the picture that the screenshot shows, and analyse that file."))
    elif found and found[0].source_label:
        yield Step(
            say(
                "Compare {label} with {source} at full size. The same scratches, folds or grain in both do "
                "not happen by chance; a repeated pattern or print does.",
                label=found[0].label,
                source=found[0].source_label,
            )
        )
    elif found:
        yield Step(
            say(
                "Look at region {label} at full size: do its edges, light, shadows, sharpness and grain fit "
                "their surroundings?",
                label=found[0].label,
            )
        )
    else:
        yield Step(say("Look at the places that are bright in the heatmap, and read the evidence."))
    yield original
    yield older


def without_minor(regions: Sequence[NamedRegion]) -> tuple[NamedRegion, ...]:
    """Return the regions that pictures show and lists do not fold away."""
    return tuple(named for named in regions if not named.minor)


def minor_regions(regions: Sequence[NamedRegion]) -> str:
    """Return a sentence about the regions that are left out; empty if there are none."""
    number = sum(named.minor for named in regions)
    if not number:
        return ""
    return say_count(
        number,
        "{count} weak or tiny mark is left out: such marks are usually false alarms.",
        "{count} weak or tiny marks are left out: such marks are usually false alarms.",
    )
