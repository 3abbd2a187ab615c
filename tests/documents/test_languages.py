"""Reports in other languages: their words, their direction, and letters that a PDF must shape."""

from __future__ import annotations

import unicodedata
from io import BytesIO

import numpy as np
import pytest
from pypdf import PdfReader
from reportlab.pdfbase import pdfmetrics

from reports import NOON, PICTURE, evidence, report
from tamperscope.case import CaseDetails
from tamperscope.documents import ReportDocument, render_html, render_pdf
from tamperscope.documents.scripts import joined, mirrored, visual_order
from tamperscope.languages import LANGUAGES, catalogue, speaking


def document(language: str, **changes: object) -> ReportDocument:
    case = CaseDetails(title="Flood", number="2026/7", notes="First line.\nSecond.")
    with speaking(language):
        return ReportDocument.of(report(**changes), PICTURE, made_at=NOON, case=case)


def text(file: bytes) -> str:
    pages = PdfReader(BytesIO(file)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_says_what_it_says_in_its_language(language):
    found = document(language)
    html = render_html(found)
    words = catalogue(language, "reports")

    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in html
    for english in ("Manipulated", "What to do next", "Marked regions", "Limits", "upper left"):
        assert str(words.get(english, english)) in html
    assert "Image analysis" in html or language != "en"
    # A document keeps its language.
    with speaking("de"):
        assert render_html(found) == html


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_pdf_whose_letters_all_have_glyphs(language):
    file = render_pdf(document(language))

    assert file == render_pdf(document(language))
    assert "□" not in text(file)
    reader = PdfReader(BytesIO(file))
    assert len(reader.pages) <= 8
    expected = str(catalogue(language, "reports").get("Limits", "Limits"))
    assert [entry.title for entry in reader.outline][-1] == expected


def test_a_pdf_in_arabic_has_joined_letters_in_the_order_of_reading():
    content = text(render_pdf(document("ar")))

    assert "ﻣﺘﻼﻋﺐ" in content
    assert "متلاعب" in unicodedata.normalize("NFKC", content)
    assert "2026-01-02 12:00:00 UTC" in content
    assert "First line." in content


def test_a_pdf_in_hindi_uses_the_font_of_its_script():
    reader = PdfReader(BytesIO(render_pdf(document("hi"))))

    fonts = {str(font.get_object()["/BaseFont"]) for font in reader.pages[0]["/Resources"]["/Font"].values()}
    assert any("NotoSansDevanagari" in font for font in fonts)


def test_a_long_finding_in_arabic_stays_within_its_column():
    long = "".join(f"كلمة{i} word{i} " for i in range(400))
    file = render_pdf(document("ar", evidence={"noise": evidence("noise", 0.9, finding=long)}))

    assert len(PdfReader(BytesIO(file)).pages) <= 10


def test_arabic_letters_take_the_form_of_their_place():
    assert joined("بيت") == "\ufe91\ufef4\ufe96"
    assert joined("دار") == "\ufea9\ufe8d\ufead"
    assert joined("لا") == "\ufefb"
    assert joined("سلام") == "\ufeb3\ufefc\ufee1"
    assert joined("بِت") == "\ufe91\u0650\ufe96"
    assert joined("Latin 12") == "Latin 12"


@pytest.mark.parametrize(
    ("line", "right_to_left", "seen"),
    [
        ("abc", True, "abc"),
        ("אבג", True, "גבא"),
        ("אבג 12.5 דה", True, "הד 12.5 גבא"),
        ("אבג (JPEG) דה", True, "הד (JPEG) גבא"),
        ("abc אבג def", False, "abc גבא def"),
        ("אב abc-12 גד", True, "דג abc-12 בא"),
        ("1a אב", True, "בא 1a"),
    ],
)
def test_a_line_is_ordered_as_people_read_it(line, right_to_left, seen):
    assert "".join(mirrored(line, right_to_left)) == seen


def test_every_character_of_a_line_is_placed_once():
    generator = np.random.default_rng(1)
    letters = list("ab12 אבمر(),.-%:[]")
    for _ in range(300):
        line = "".join(generator.choice(letters, size=generator.integers(0, 30)))
        for direction in (True, False):
            assert sorted(visual_order(line, direction)) == list(range(len(line)))


def test_the_fonts_cover_every_catalogue():
    render_pdf(document("hi"))
    covered = {
        character
        for name in pdfmetrics.getRegisteredFontNames()
        if hasattr(pdfmetrics.getFont(name).face, "charToGlyph")
        for character in pdfmetrics.getFont(name).face.charToGlyph
    }
    for language in LANGUAGES:
        for told in catalogue(language, "reports").values():
            for form in [told] if isinstance(told, str) else told.values():
                assert {character for character in joined(form) if ord(character) not in covered} <= set("{}")
