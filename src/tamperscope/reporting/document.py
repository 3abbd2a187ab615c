"""Everything a report says, in its order, before it has a format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamperscope.report import Box, ManipulationType, OperatingPoints, Report, Verdict
from tamperscope.reporting import figures, wording
from tamperscope.reporting.figures import Area, Maps, Picture
from tamperscope.reporting.foreign_text import shown

MOST_FACTS = 60
"""Of one measurement's details; a file can hold more metadata than anybody reads."""
_UNTOLD = {"located"}
"""Details that the finding already says."""


@dataclass(frozen=True)
class Fact:
    """One line of a table."""

    label: str
    value: str


@dataclass(frozen=True)
class Figure:
    """A picture and what it shows."""

    title: str
    picture: Picture
    caption: str
    coloured: bool = False
    """Whether its colours are those of `ReportDocument.colour_scale`."""


@dataclass(frozen=True)
class Kind:
    """One manipulation type."""

    name: str
    meaning: str
    share: float
    """0 to 1: how well it fits, given that the image was manipulated."""


@dataclass(frozen=True)
class RegionRow:
    """One marked area, numbered as in the figure."""

    number: int
    place: str
    extent: str
    share: str
    probability: str
    kind: str


@dataclass(frozen=True)
class Section:
    """One measurement that could be made."""

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
class ReportDocument:
    """A report's contents. Every text of foreign origin has been through `shown`; none is escaped."""

    title: str
    made_at: datetime
    """When the image was analysed, in UTC."""
    verdict: Verdict
    headline: str
    meaning: str
    score: float
    operating_points: OperatingPoints | None
    kinds: tuple[Kind, ...]
    """The likeliest first; none where no manipulation was found."""
    kinds_caveat: str
    figures: tuple[Figure, ...]
    regions: tuple[RegionRow, ...]
    reasons: tuple[str, ...]
    """What moved the score, strongest first."""
    doubts: tuple[str, ...]
    evidence: tuple[Section, ...]
    """Notable measurements first."""
    inapplicable: tuple[Fact, ...]
    """Measurements that could not be made, and why."""
    facts: tuple[Fact, ...]
    strengths: str
    """What the strengths of the evidence mean."""
    limits: tuple[str, ...]
    colour_scale: Picture
    sha256: str
    """Of the analysed file."""

    @classmethod
    def of(
        cls,
        report: Report,
        picture: NDArray[np.uint8] | None = None,
        *,
        made_at: datetime,
        title: str = "",
    ) -> ReportDocument:
        """Return the document of a report that was just made; `picture` is (height, width, 3) RGB.

        `made_at` is when the image was analysed, with a time zone. Without a `title` nothing tells the file's
        name.
        """
        return cls.from_json(
            report.to_json(),
            Maps.of(report, picture),
            made_at=made_at,
            title=title,
        )

    @classmethod
    def from_json(
        cls,
        analysis: Mapping[str, Any],
        maps: Maps,
        *,
        made_at: datetime,
        title: str = "",
    ) -> ReportDocument:
        """Return the document of a report that was kept as `Report.to_json` and its maps; see `of`."""
        verdict = Verdict(analysis["verdict"])
        points = OperatingPoints(**stored) if (stored := analysis.get("operating_points")) else None
        image = analysis["image"]
        regions = analysis["regions"]
        evidence = analysis["evidence"]
        by_strength = sorted(
            (name for name, item in evidence.items() if item["strength"] is not None),
            key=lambda name: -evidence[name]["strength"] if evidence[name]["notable"] else 0,
        )
        return cls(
            title=shown(title),
            made_at=made_at.astimezone(UTC),
            verdict=verdict,
            headline=wording.HEADLINES[verdict],
            meaning=wording.meaning(verdict, analysis["score"], points),
            score=analysis["score"],
            operating_points=points,
            kinds=() if verdict is Verdict.AUTHENTIC else _kinds(analysis["type_scores"]),
            kinds_caveat=wording.KINDS_CAVEAT,
            figures=tuple(_figures(maps, regions, image["width"], analysis.get("threshold"))),
            regions=tuple(_region(number, region, image) for number, region in enumerate(regions, 1)),
            reasons=tuple(shown(reason["text"]) for reason in analysis.get("reasons", ())),
            doubts=tuple(map(shown, (*analysis["notes"], *map(_sentence, image["notes"])))),
            evidence=tuple(_section(name, evidence[name], maps.evidence.get(name)) for name in by_strength),
            inapplicable=tuple(
                Fact(wording.measurement(name), shown(item["finding"]))
                for name, item in evidence.items()
                if item["strength"] is None
            ),
            facts=tuple(_facts(analysis)),
            strengths=wording.STRENGTHS,
            limits=wording.limits(points),
            colour_scale=figures.colour_scale(),
            sha256=image["sha256"],
        )


def facts_of(details: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return what a measurement found as a table; every text has been through `shown`."""
    return tuple(islice(_details(details), MOST_FACTS))


def _kinds(scores: Mapping[str, float]) -> tuple[Kind, ...]:
    kinds = (Kind(*wording.KINDS[ManipulationType(name)], share) for name, share in scores.items())
    return tuple(sorted(kinds, key=lambda kind: -kind.share))


def _figures(
    maps: Maps, regions: list[dict[str, Any]], image_width: int, threshold: float | None
) -> Iterator[Figure]:
    if maps.picture is not None:
        yield Figure("Picture", figures.photo(maps.picture), "As it was analysed, upright.")
    areas = [Area(region["polygon"], (region.get("source") or {}).get("polygon", ())) for region in regions]
    if areas or maps.picture is None:
        limit = "" if threshold is None else f" Inside, the probability is at least {threshold:.2f}."
        copies = " Blue: what a copy was taken from, probably." if any(area.source for area in areas) else ""
        ground = " The picture itself was not kept." if maps.picture is None else ""
        caption = f"Outlined and numbered.{limit}{copies}{ground}" if areas else f"None.{ground}"
        yield Figure("Marked areas", figures.marked(maps, areas, image_width), caption)
    yield Figure(
        "Heatmap",
        figures.heat(maps.heatmap),
        "Probability of each pixel to be manipulated. Bright spots alone are common in authentic photos.",
        coloured=True,
    )


def _region(number: int, region: Mapping[str, Any], image: Mapping[str, Any]) -> RegionRow:
    box = Box(**region["box"])
    kind = wording.KINDS[ManipulationType(region["type"])][0] if region.get("type") else ""
    return RegionRow(
        number=number,
        place=wording.place(box, image["width"], image["height"]),
        extent=_extent(box),
        share=wording.percent(region["area_share"]),
        probability=f"{region['probability']:.2f}",
        kind=f"{kind}, {_source(region['source'])}" if region.get("source") else kind,
    )


def _source(source: Mapping[str, Any]) -> str:
    xs, ys = zip(*source["polygon"], strict=True)
    extent = _span(min(xs), max(xs), min(ys), max(ys))
    return f"from {extent}" if source.get("decided", True) else f"from or to {extent}"


def _extent(box: Box) -> str:
    return _span(box.x, box.x + box.width - 1, box.y, box.y + box.height - 1)


def _span(left: int, right: int, top: int, bottom: int) -> str:
    return f"x\N{NO-BREAK SPACE}{left}–{right}, y\N{NO-BREAK SPACE}{top}–{bottom}"


def _section(name: str, evidence: Mapping[str, Any], values: NDArray[np.float32] | None) -> Section:
    title, details = wording.measurement(name), evidence.get("details", {})
    return Section(
        title=title,
        strength=wording.strength(evidence["strength"]),
        notable=evidence["notable"],
        finding=shown(evidence["finding"], 2000),
        figures=tuple(_section_figures(title, values, details)),
        facts=facts_of(details),
        **evidence["explanation"],
    )


def _section_figures(
    title: str, values: NDArray[np.float32] | None, details: Mapping[str, Any]
) -> Iterator[Figure]:
    if values is not None and values.any():
        yield Figure(title, figures.heat(values), "", coloured=True)
    preview = details.get("preview") or {}
    if picture := figures.from_data_uri(preview.get("picture") or ""):
        yield Figure("Embedded preview", picture, "The small picture that the file carries of itself.")


def _details(details: Any, label: str = "") -> Iterator[Fact]:
    """Flatten what a measurement found; lists of lists are outlines and matrices, nothing to read."""
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
            yield Fact(_heading(label), shown(_written(details)))


def _heading(label: str) -> str:
    return shown(label[:1].upper() + label[1:], 80)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _facts(analysis: Mapping[str, Any]) -> Iterator[Fact]:
    from tamperscope import __version__

    image, bundle = analysis["image"], analysis["bundle"]
    yield Fact("SHA-256", image["sha256"])
    yield Fact("Size", f"{image['width']} × {image['height']} pixels, {wording.size(image['byte_count'])}")
    yield Fact("Format", shown(image["format"]))
    yield Fact("Verdict and score", f"{analysis['verdict']}, {analysis['score']:.4f}")
    yield Fact("Model", shown(f"{bundle['name']} {bundle['version']}"))
    yield Fact("Model's SHA-256", bundle["sha256"])
    for name, version in analysis.get("versions", {"tamperscope": __version__}).items():
        yield Fact("Software", shown(f"{name} {version}"))


def _sentence(note: str) -> str:
    return f"On reading: {note}."
