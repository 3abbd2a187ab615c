from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import samples
from reports import NOON, PICTURE, authentic, evidence, report
from tamperscope.case import CaseDetails
from tamperscope.documents import ReportDocument, render_html
from tamperscope.report import Report

ATTACK = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}&lt;"


def html(found: Report, **options: object) -> str:
    return render_html(ReportDocument.of(found, PICTURE, made_at=NOON, **options))


class Page(HTMLParser):
    """What a browser sees: elements with attributes, and text."""

    VOID = frozenset(("meta", "img"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_includes_everything():
    text = Page(html(report())).text

    for expected in (
        "Manipulated",
        "2026-01-02 12:00:00 UTC",
        "found by a fake",
        "upper left",
        "Copy-move",
        "See jpeg_trace.",
        "Can mean jpeg_trace.",
        "Cannot tell jpeg_trace.",
        "Only JPEG files have it.",
        report().image.sha256,
        "fake-bundle 7.1",
        "lead for human judgement",
    ):
        assert expected in text


def test_is_self_contained_and_runs_nothing():
    page = Page(html(report(), case=CaseDetails(title="A title")))

    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "form", "base"}
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action")
    ]
    assert addresses
    assert all(address.startswith("data:image/") for address in addresses)
    assert not re.search(r"url\(|@import", html(report()))
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none';")


@pytest.mark.parametrize(
    "where", ["title", "notes", "finding", "detail", "label", "note", "bundle", "format"]
)
def test_foreign_text_stays_text(where):
    found = report()
    options = {}
    match where:
        case "title":
            options["case"] = CaseDetails(title=ATTACK)
        case "notes":
            options["case"] = CaseDetails(notes=ATTACK)
        case "finding":
            found = report(evidence={"it": evidence("it", 0.9, finding=ATTACK)})
        case "detail":
            found = report(evidence={"it": evidence("it", 0.9, details={"software": ATTACK})})
        case "label":
            found = report(evidence={"it": evidence("it", 0.9, details={ATTACK: 1})})
        case "note":
            found = report(notes=(ATTACK,))
        case "bundle":
            found = report(bundle=replace(found.bundle, name=ATTACK))
        case "format":
            found = report(image=replace(found.image, format=ATTACK))

    page = Page(html(found, **options))

    assert ATTACK in page.text
    assert {name for name, _ in page.elements} == {name for name, _ in Page(html(found)).elements}
    assert "script" not in {name for name, _ in page.elements}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_text_cannot_reorder_its_surroundings():
    written = html(report(notes=("gpj.\u202eexe",)))

    assert "\u202e" not in written
    assert "<bdi>gpj.‹U+202E›exe</bdi>" in written


def test_equal_reports_are_equal_files():
    assert html(report()) == html(report())


def test_without_a_title_no_name_is_shown():
    assert '<p class="title">' not in html(report())
    assert '<p class="title">' in html(report(), case=CaseDetails(title="Case 7"))


def test_pictures_that_are_not_kept_are_not_shown():
    text = Page(render_html(ReportDocument.of(authentic(), made_at=NOON))).text

    assert "The picture itself was not kept." in text


def test_a_megapixel_with_noisy_maps_stays_small():
    picture = samples.scene(1152, 896)
    noise = np.random.default_rng(0).random(picture.shape[:2], np.float32)
    items = {name: evidence(name, 0.3, map=noise) for name in map(str, range(2))}
    found = report(
        image=replace(report().image, width=1152, height=896),
        mask=noise > 2,
        heatmap=noise,
        evidence=items,
    )
    written = render_html(ReportDocument.of(found, picture, made_at=NOON))

    assert 100_000 < len(written) < 3_000_000
