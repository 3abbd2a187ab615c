"""The content of a report, in order, independent of its format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamperscope.case import LONGEST_NOTES, LONGEST_REGION_NOTE, NO_CASE, CaseDetails
from tamperscope.documents import findings, pictures, wording
from tamperscope.documents.findings import NamedRegion, Step
from tamperscope.documents.foreign_text import shown
from tamperscope.documents.pictures import EncodedPicture, Maps, OutlinedRegion
from tamperscope.documents.translation import in_current_language
from tamperscope.languages import current, number, say, translated
from tamperscope.origin import OriginKind
from tamperscope.report import (
    CPU,
    Box,
    CopySource,
    EvidenceRecord,
    ManipulationType,
    OperatingPoints,
    Report,
    ReportRecord,
    Verdict,
    percent,
    printed_score,
)

MOST_FACTS = 60
"""Maximum number of details of one measurement. A file can hold more metadata than a person can read."""
_UNTOLD = {"located", "entries"}
"""Details that the finding already states, or that only a search makes readable."""


@dataclass(frozen=True)
class Fact:
    """One row of a table."""

    label: str
    value: str


@dataclass(frozen=True)
class Figure:
    """A picture and what it shows."""

    title: str
    picture: EncodedPicture
    caption: str
    coloured: bool = False
    """Whether it uses the colours of `ReportDocument.colour_scale`."""


@dataclass(frozen=True)
class Kind:
    """One manipulation type."""

    name: str
    meaning: str
    share: float
    """0 to 1: how well the type fits, given that the image was manipulated."""


@dataclass(frozen=True)
class RegionRow:
    """One marked region, labelled as in the figure."""

    label: str
    place: str
    extent: str
    share: str
    probability: str
    source: str
    """Where the other one of two regions that repeat each other is; empty without one."""
    finding: str
    """Which measurements agree on it, and which do not."""
    note: str
    """The analyst's note on it; empty without one."""


@dataclass(frozen=True)
class Section:
    """One applicable measurement."""

    title: str
    strength: str
    notable: bool
    finding: str
    figures: tuple[Figure, ...]
    facts: tuple[Fact, ...]
    what_you_see: str
    what_it_can_mean: str
    what_it_cannot: str


@dataclass(frozen=True)
class OriginSection:
    """What the file proves and declares about its origin."""

    headline: str
    rule: str
    """How that moved the verdict, or would have; empty without a rule."""
    claims: tuple[Fact, ...]
    """What it rests on and which part of the file says it, and the claim with how far to believe it."""


@dataclass(frozen=True)
class ReportDocument:
    """The content of a report. Untrusted text has been through `shown`; no text is escaped."""

    language: str
    """Code of the language of its sentences, one of `languages.LANGUAGES`."""
    title: str
    case: tuple[Fact, ...]
    """Case number, analyst and tags, as far as they were given."""
    notes: tuple[str, ...]
    """The analyst's notes, by paragraphs."""
    made_at: datetime
    """When the image was analysed, in UTC."""
    verdict: Verdict
    headline: str
    finding: str
    """What was found, in words."""
    steps: tuple[Step, ...]
    """What to do next."""
    meaning: str
    """What the verdict rests on and how often it is wrong."""
    error_rates: str
    """How often verdicts on files like this one were wrong; empty if that was not measured."""
    origin: OriginSection | None
    """None where the file says nothing about its origin."""
    score: float
    operating_points: OperatingPoints | None
    kinds: tuple[Kind, ...]
    """The likeliest first; empty where no manipulation was found, and for a picture declared as generated."""
    kinds_caveat: str
    figures: tuple[Figure, ...]
    regions: tuple[RegionRow, ...]
    left_out: str
    """Which regions are not listed; empty if all are."""
    reasons: tuple[str, ...]
    """What moved the score, strongest first."""
    doubts: tuple[str, ...]
    evidence: tuple[Section, ...]
    """Notable measurements first."""
    inapplicable: tuple[Fact, ...]
    """Measurements that could not be made, and why."""
    facts: tuple[Fact, ...]
    strengths: str
    """Explains the strengths of the evidence."""
    limits: tuple[str, ...]
    colour_scale: EncodedPicture
    sha256: str
    """SHA-256 of the analysed file."""

    @classmethod
    def of(
        cls,
        report: Report,
        picture: NDArray[np.uint8] | None = None,
        *,
        made_at: datetime,
        case: CaseDetails = NO_CASE,
        signer: str = "",
    ) -> ReportDocument:
        """Return the document of a new report; `picture` is (height, width, 3) uint8 RGB.

        `made_at` is the time of the analysis, with a time zone. The document names the file only if `case`
        does. `signer` is the key that will sign it, in words; empty if none will.
        """
        maps = Maps.of(report, picture)
        return cls.of_record(report.record, maps, made_at=made_at, case=case, signer=signer)

    @classmethod
    def of_record(
        cls,
        report: ReportRecord,
        maps: Maps,
        *,
        made_at: datetime,
        case: CaseDetails = NO_CASE,
        signer: str = "",
    ) -> ReportDocument:
        """Return the document of a stored report and its maps; see `of`."""
        report = in_current_language(report)
        evidence, points = report.evidence, report.operating_points
        named = findings.named_regions(report)
        regions = findings.without_minor(named)
        applicable = sorted(
            (name for name, found in evidence.items() if found.applicable),
            key=lambda name: -(evidence[name].strength or 0) if evidence[name].notable else 0,
        )
        return cls(
            language=current(),
            title=shown(case.title),
            case=tuple(
                Fact(label, shown(text))
                for label, text in (
                    (say("Case"), case.number),
                    (say("Analyst"), case.analyst),
                    (say("Tags"), say(", ").join(case.tags)),
                )
                if text.strip()
            ),
            notes=tuple(
                shown(line, LONGEST_NOTES) for line in case.notes[:LONGEST_NOTES].splitlines() if line.strip()
            ),
            made_at=made_at.astimezone(UTC),
            verdict=report.verdict,
            headline=shown(wording.headline(report.verdict, report.origin)),
            finding=findings.finding(report, named),
            steps=findings.next_steps(report, named),
            meaning=wording.meaning(report.verdict, report.score, points, report.origin),
            error_rates=wording.error_rates(report.error_rates),
            origin=_origin(report),
            score=report.score,
            operating_points=points,
            kinds=_kinds(report.type_scores) if _names_kinds(report) else (),
            kinds_caveat=wording.kinds_caveat(),
            figures=tuple(_figures(maps, report, regions)),
            regions=tuple(_region(named, case.region_notes.get(named.label, "")) for named in regions),
            left_out=findings.minor_regions(named[: len(report.regions)]),
            reasons=tuple(shown(translated(reason.text)) for reason in report.reasons),
            doubts=tuple(map(shown, (*report.notes, *map(_sentence, report.image.notes)))),
            evidence=tuple(_section(name, evidence[name], maps.evidence.get(name)) for name in applicable),
            inapplicable=tuple(
                Fact(wording.measurement(name), shown(found.finding))
                for name, found in evidence.items()
                if not found.applicable
            ),
            facts=tuple(_facts(report, signer)),
            strengths=wording.strengths(),
            limits=wording.limits(points),
            colour_scale=pictures.colour_scale(),
            sha256=report.image.sha256,
        )


def _origin(report: ReportRecord) -> OriginSection | None:
    origin = report.origin
    if not origin.claims:
        return None
    meaning = wording.meaning(report.verdict, report.score, report.operating_points, origin)
    # The meaning of the verdict already gives a rule that decided it.
    told = origin.rule is None or meaning.startswith(origin.rule.text)
    return OriginSection(
        headline=shown(origin.headline),
        rule="" if told or origin.rule is None else origin.rule.text,
        claims=tuple(
            Fact(shown(wording.claim_label(claim)), shown(f"{claim.text} {claim.belief}", 2000))
            for claim in origin.claims
        ),
    )


def facts_of(details: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return a measurement's details as rows of a table; every text has been through `shown`."""
    return tuple(islice(_details(details), MOST_FACTS))


def _names_kinds(report: ReportRecord) -> bool:
    return report.verdict is not Verdict.AUTHENTIC and report.origin.kind is not OriginKind.GENERATED


def _kinds(scores: Mapping[ManipulationType, float]) -> tuple[Kind, ...]:
    kinds = (Kind(*wording.kind(kind), share) for kind, share in scores.items())
    return tuple(sorted(kinds, key=lambda kind: -kind.share))


def _figures(maps: Maps, report: ReportRecord, regions: Sequence[NamedRegion]) -> Iterator[Figure]:
    if maps.picture is not None:
        yield Figure(say("Picture"), pictures.photo(maps.picture), say("As it was analysed, upright."))
    if regions or maps.picture is None:
        outlined = [_outlined(named) for named in regions]
        yield Figure(
            say("Marked regions"),
            pictures.marked(maps, outlined, report.image.width),
            " ".join(_legend(maps, report, regions)),
        )
    yield Figure(
        say("Heatmap"),
        pictures.heat(maps.heatmap),
        say(
            "Probability that each pixel was manipulated. Bright spots alone are common in authentic photos."
        ),
        coloured=True,
    )


def _legend(maps: Maps, report: ReportRecord, regions: Sequence[NamedRegion]) -> Iterator[str]:
    if not regions:
        yield say("None.")
    elif report.threshold is not None:
        yield say(
            "Inside a solid outline, the probability is at least {threshold}.",
            threshold=f"{report.threshold:.2f}",
        )
    sources = [named.region.source for named in regions if named.region.source]
    if any(source.decided for source in sources):
        yield say("Dashed: the likely source of a copy; the arrow leads to the copy.")
    if any(not source.decided for source in sources):
        yield say("A line without a tip joins two regions of which one is a copy of the other.")
    if maps.picture is None:
        yield say("The picture itself was not kept.")


def _outlined(named: NamedRegion) -> OutlinedRegion:
    region, source = named.region, named.region.source
    if source is None:
        return OutlinedRegion(region.polygon, named.label)
    return OutlinedRegion(region.polygon, named.label, source.polygon, named.source_label, source.decided)


def _region(named: NamedRegion, note: str) -> RegionRow:
    region = named.region
    return RegionRow(
        label=named.label,
        place=named.place,
        extent=_extent(region.box),
        share=number(percent(region.area_share)),
        probability=number(printed_score(region.probability)),
        source=_source(region.source, named.source_label) if region.source else "",
        finding=named.finding,
        note=shown(note, LONGEST_REGION_NOTE),
    )


def _source(source: CopySource, label: str) -> str:
    xs, ys = zip(*source.polygon, strict=True)
    return f"{label}: {_span(min(xs), max(xs), min(ys), max(ys))}"


def _extent(box: Box) -> str:
    return _span(box.x, box.x + box.width - 1, box.y, box.y + box.height - 1)


def _span(left: int, right: int, top: int, bottom: int) -> str:
    return f"x\N{NO-BREAK SPACE}{left}–{right}, y\N{NO-BREAK SPACE}{top}–{bottom}"


def _section(name: str, evidence: EvidenceRecord, values: NDArray[np.float32] | None) -> Section:
    title, explanation = wording.measurement(name), evidence.explanation
    assert evidence.strength is not None
    return Section(
        title=title,
        strength=wording.strength(evidence.strength),
        notable=evidence.notable,
        finding=shown(evidence.finding, 2000),
        figures=tuple(_section_figures(title, values, evidence.details)),
        facts=facts_of(evidence.details),
        what_you_see=explanation.what_you_see,
        what_it_can_mean=explanation.what_it_can_mean,
        what_it_cannot=explanation.what_it_cannot,
    )


def _section_figures(
    title: str, values: NDArray[np.float32] | None, details: Mapping[str, Any]
) -> Iterator[Figure]:
    if values is not None and values.any():
        yield Figure(title, pictures.heat(values), "", coloured=True)
    preview = details.get("preview") or {}
    if picture := pictures.from_data_uri(preview.get("picture") or ""):
        yield Figure(
            say("Embedded preview"), picture, say("A small preview of the picture, stored inside the file.")
        )
    for part in details.get("parts") or ():
        if picture := pictures.from_data_uri(part.get("picture") or ""):
            title = (
                say("Made from: {title}", title=shown(part["title"]))
                if part.get("title")
                else say("Made from")
            )
            yield Figure(
                title, picture, say("A preview of an ingredient, stored in the Content Credentials.")
            )


def _details(details: Any, label: str = "") -> Iterator[Fact]:
    """Flatten a measurement's details; lists of lists are outlines and matrices, which people do not read."""
    match details:
        case {"x": _, "y": _, "width": _, "height": _}:
            yield Fact(_heading(label), _extent(Box(**details)))
        case {"name": name, "value": value}:
            yield Fact(_heading(str(name)), shown(_written(value)))
        case Mapping():
            for key, value in details.items():
                if key not in _UNTOLD:
                    yield from _details(value, f"{label} {str(key).replace('_', ' ')}".strip())
        case [{**_first}, *_]:
            for number, item in enumerate(details, 1):
                yield from _details(item, f"{label.removesuffix('s')} {number}")
        case [] | [[*_], *_] | None | "":
            pass
        case [*_]:
            yield Fact(_heading(label), shown(", ".join(map(_written, details))))
        case str() if details.startswith("data:"):
            pass
        case _:
            yield Fact(_heading(label), shown(translated(_written(details))))


def _heading(label: str) -> str:
    return shown(label[:1].upper() + label[1:], 80)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _facts(report: ReportRecord, signer: str) -> Iterator[Fact]:
    image, bundle = report.image, report.bundle
    yield Fact("SHA-256", image.sha256)
    yield Fact(
        say("Size"),
        say(
            "{width} × {height} pixels, {size}",
            width=str(image.width),
            height=str(image.height),
            size=wording.size(image.byte_count),
        ),
    )
    yield Fact(say("Format"), shown(image.format))
    yield Fact(
        say("Verdict and score"),
        say(", ").join((wording.verdict(report.verdict), number(printed_score(report.score)))),
    )
    yield Fact(say("Model"), shown(f"{bundle.name} {bundle.version}"))
    yield Fact(say("Model's SHA-256"), bundle.sha256)
    for name, version in report.versions.items():
        yield Fact(say("Software"), shown(f"{name} {version}"))
    if report.device != CPU:
        yield Fact(say("Networks ran on"), shown(report.device))
    if signer:
        yield Fact(say("Signature"), shown(wording.signature(signer)))


def _sentence(note: str) -> str:
    return say("How the file was read: {note}.", note=note)
