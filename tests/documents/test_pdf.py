from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import timedelta, timezone
from io import BytesIO
from itertools import count

import numpy as np
import pytest
from pypdf import PdfReader

from reports import NOON, PICTURE, authentic, evidence, report
from tamperscope.case import LONGEST_REGION_NOTE, CaseDetails
from tamperscope.documents import ReportDocument, render_html, render_pdf
from tamperscope.report import ManipulationType, Report, Verdict, printed_score


def pdf(found: Report, **options: object) -> bytes:
    return render_pdf(ReportDocument.of(found, PICTURE, **({"made_at": NOON} | options)))


def text(file: bytes) -> str:
    pages = PdfReader(BytesIO(file)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_includes_everything():
    content = text(pdf(report()))

    for expected in (
        "Manipulated",
        "0.90 is above 0.80",
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
        assert expected in content


def test_has_pictures_pages_and_an_outline():
    reader = PdfReader(BytesIO(pdf(report())))

    assert len(reader.pages[0].images) >= 3
    assert reader.pages[0].mediabox[2:] == pytest.approx((595.28, 841.89), abs=0.01)
    assert [entry.title for entry in reader.outline] == [
        "What to do next",
        "Before you rely on this",
        "Marked regions",
        "How sure is this?",
        "How it was manipulated, if it was",
        "Evidence",
        "Could not be measured",
        "Analysed file and software",
        "Limits",
    ]
    total = len(reader.pages)
    for number, page in enumerate(reader.pages, 1):
        foot = page.extract_text()
        assert f"{number} / {total}" in foot
        assert report().image.sha256 in foot


def test_its_properties_state_when_it_was_made():
    shifted = NOON.astimezone(timezone(timedelta(hours=5)))
    reader = PdfReader(BytesIO(pdf(report(), made_at=shifted, case=CaseDetails(title="Case 7"))))

    assert reader.metadata.title == "Case 7: Manipulated"
    assert reader.metadata.creation_date == NOON
    assert reader.metadata.subject == f"Image with SHA-256 {report().image.sha256}"


def test_equal_reports_are_equal_files():
    assert pdf(report()) == pdf(report())
    assert pdf(report()) != pdf(report(), made_at=NOON + timedelta(seconds=1))


@pytest.mark.parametrize("found", [authentic(), report(verdict=Verdict.INCONCLUSIVE, operating_points=None)])
@pytest.mark.parametrize("picture", [None, PICTURE, PICTURE.swapaxes(0, 1).copy()])
def test_every_kind_of_report_has_a_pdf(found, picture):
    document = ReportDocument.of(found, picture, made_at=NOON)

    assert document.headline in text(render_pdf(document))


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_at_the_ends_of_the_scale(score):
    assert printed_score(score) in text(pdf(report(score=score)))


@pytest.mark.parametrize(
    "foreign",
    [
        '<b>bold</b> & "quoted" <font color="red">',
        '<img src="file:///etc/passwd"/><para>',
        "{{7*7}} %s %(x)s \\",
        "Αθήνα Łódź Київ",
        "北京市朝阳区",
        "東京のカメラ",
        "서울",
        "‹U+202E›",
    ],
)
def test_foreign_text_stays_text(foreign):
    content = text(pdf(report(notes=(foreign,)), case=CaseDetails(title=foreign)))

    assert foreign.replace(" ", "") in content.replace(" ", "")


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        ("صورة", "صورة"),
        ("a שלום b", "a שלום b"),
        ("rocket 🚀", "rocket □"),
        ("\ud800\u202e\0", "‹U+D800›‹U+202E›‹U+0000›"),
    ],
)
def test_text_that_is_hard_to_typeset_is_shown_as_well_as_possible(foreign, expected):
    # Arabic letters are written as the forms that join them.
    assert expected in unicodedata.normalize("NFKC", text(pdf(report(notes=(foreign,)))))


def test_endless_metadata_fits_the_page():
    numbers = count()
    values = ["W" * 5000, "long words " * 500, "界" * 5000, "\u0301" * 5000]
    details = {f"{'field' * 30} {next(numbers)}": value for value in values for _ in range(30)}
    long = evidence("long", 0.9, finding="x" * 5000, details=details)
    reader = PdfReader(BytesIO(pdf(report(evidence={"long": long}), case=CaseDetails(title="t" * 5000))))

    assert 3 <= len(reader.pages) < 15


@pytest.mark.parametrize("note", ["\u202e" * LONGEST_REGION_NOTE, "漢" * LONGEST_REGION_NOTE])
def test_the_longest_note_on_a_region_fits_the_page(note):
    assert pdf(report(), case=CaseDetails(region_notes={"1a": note}))


def test_a_long_table_of_regions_repeats_its_header():
    regions = tuple(replace(report().regions[0], probability=0.5) for _ in range(60))
    reader = PdfReader(BytesIO(pdf(report(regions=regions))))

    heads = [page.extract_text().count("Mean probability") for page in reader.pages]
    assert sum(heads) >= 2


def test_evidence_is_two_to_a_page():
    ramp = np.linspace(0, 1, PICTURE.size // 3, dtype=np.float32).reshape(PICTURE.shape[:2])
    found = {f"trace_{n}": evidence(f"trace_{n}", 0.9, map=ramp.T if n % 2 else ramp) for n in range(6)}
    pages = [page.extract_text() for page in PdfReader(BytesIO(pdf(report(evidence=found)))).pages]

    first = next(number for number, page in enumerate(pages) if "See trace_" in page)
    last = max(number for number, page in enumerate(pages) if "See trace_" in page)
    assert last - first < 3


def test_no_share_of_a_type_is_printed_as_certain():
    shares = dict.fromkeys(ManipulationType, 0.0) | {ManipulationType.FACE: 1.0}
    found = report(type_scores=shares, type=ManipulationType.FACE)

    for content in (text(pdf(found)), render_html(ReportDocument.of(found, PICTURE, made_at=NOON))):
        assert "0.99" in content
        assert "1.00" not in content


def test_stays_small():
    assert 20_000 < len(pdf(report())) < 300_000


def test_what_a_person_adds_is_printed():
    case = CaseDetails(
        title="Clogs", number="2026-17", analyst="A. Ortega", notes="First line.\n\nSecond line."
    )
    content = text(pdf(report(), case=case))

    for expected in ("Clogs", "Case 2026-17", "Analyst A. Ortega", "First line. Second line."):
        assert expected in content
