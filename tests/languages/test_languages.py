"""What is said in another language than English: sentences, numbers, plurals, and reports that are stored."""

from __future__ import annotations

import re

import pytest

from tamperscope.documents import wording
from tamperscope.languages import LANGUAGES, direction, number, plural, say, say_count, speaking, translated
from tamperscope.report import ErrorRates


def test_outside_of_a_language_everything_is_english():
    assert say("The score is {score}.", score="0.97") == "The score is 0.97."
    assert translated("No region stands out at any compression quality.").startswith("No region")


def test_a_text_that_no_catalogue_has_is_said_in_english():
    with speaking("de"):
        assert say("A new sentence about {thing}.", thing="noise") == "A new sentence about noise."


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", ["0.97", "1,234", "12,345,678", "4.5\u00a0%"]),
        ("de", ["0,97", "1.234", "12.345.678", "4,5\u00a0%"]),
        ("es", ["0,97", "1234", "12.345.678", "4,5\u00a0%"]),
        ("fr", ["0,97", "1\u202f234", "12\u202f345\u202f678", "4,5\u00a0%"]),
        ("pt", ["0,97", "1.234", "12.345.678", "4,5\u00a0%"]),
        ("ar", ["0.97", "1,234", "12,345,678", "4.5\u00a0%"]),
        ("hi", ["0.97", "1,234", "1,23,45,678", "4.5\u00a0%"]),
    ],
)
def test_numbers_follow_the_language(language, written):
    with speaking(language):
        assert [number(text) for text in ("0.97", "1,234", "12,345,678", "4.5\u00a0%")] == written


def test_what_is_not_a_number_stays():
    with speaking("de"):
        assert number("1a") == "1a"
        assert number("Lightroom 6.5") == "Lightroom 6.5"


@pytest.mark.parametrize(
    ("language", "categories"),
    [
        ("en", ["other", "one", "other", "other", "other", "other"]),
        ("fr", ["one", "one", "other", "other", "other", "other"]),
        ("ar", ["zero", "one", "two", "few", "many", "other"]),
    ],
)
def test_plurals_follow_the_language(language, categories):
    assert [plural(count, language) for count in (0, 1, 2, 3, 11, 100)] == categories


def test_a_count_has_its_form():
    one, many = "{count} further finding is listed below.", "{count} further findings are listed below."
    assert say_count(1, one, many) == "1 further finding is listed below."
    with speaking("de"):
        assert say_count(1, one, many) == "1 weiterer Befund ist unten aufgeführt."
        assert say_count(1200, one, many) == "1.200 weitere Befunde sind unten aufgeführt."
    with speaking("ar"):
        assert say_count(2, one, many) == "نتيجتان أخريان مدرجتان أدناه."


def test_a_stored_sentence_is_recognised_with_what_it_quotes():
    with speaking("de"):
        assert translated("Saved by the image editor GIMP 2.10 (“v. 2”).") == (
            "Vom Bildbearbeitungsprogramm GIMP 2.10 (“v. 2”) gespeichert."
        )
        assert translated("At compression quality 65, 12.3\u00a0% of the picture stands out.") == (
            "Bei Kompressionsqualität 65 fallen 12,3\u00a0% des Bildes auf."
        )


def test_several_sentences_and_phrases_within_them_are_recognised():
    with speaking("es"):
        assert translated("JPEG quality 85. The tables are those of Adobe Photoshop.") == (
            "Calidad JPEG 85. Las tablas corresponden a Adobe Photoshop."
        )
        assert translated("Declared as taken with a camera, with Pixel 8. A sentence of its own.") == (
            "Declarado como: tomado con una cámara, con Pixel 8. A sentence of its own."
        )
    with speaking("fr"):
        change = "mirrored, turned by 30 degrees, scaled to 120\u00a0%"
        assert translated(change) == "retournée, tournée de 30 degrés, mise à 120\u00a0%"


def test_a_headline_and_a_sentence_that_begin_alike_are_told_apart():
    with speaking("de"):
        assert translated("Declared as taken with a camera") == "Als aufgenommen angegeben mit einer Kamera"
        assert (
            translated("Declared as taken with a camera.") == "Angegeben als: mit einer Kamera aufgenommen."
        )


FOUND = (
    "Signed by C2PA Signer on 2025-07-29T23:13:49+00:00, and unchanged since; the signer's identity is not "
    "verified. No one vouches for the author's certificate. Declared as taken with a camera.",
    "Made or changed with the image generator Midjourney. Its prompt, as the file says: “A cat. Two hats.”. "
    "Seed 1.",
    "Declared as partly made by a generator (AI), with Google AI. Changed with Google AI, which adds "
    "generated content.",
    "JPEG quality about 87. The tables are those of an unknown program; many cameras and some editors have "
    "their own. Known originals of the device that the file names have tables of their own, so the file was "
    "probably saved again by another program.",
    "12.3\u00a0% of the picture follows a different JPEG grid from the rest (expected by chance: 10^-9 such "
    "regions).",
    "The picture's noise has a standard deviation of about 2.1 of 255 levels; 4.5\u00a0% of the picture has "
    "clearly more noise than its brightness and texture explain.",
    "2 regions were probably copied to other places in the picture: unchanged; mirrored, scaled to "
    "120\u00a0%.",
    "1,234 bytes follow the end of the picture: an archive (ZIP), which cameras do not append.",
    "Recorded as 4000 x 3000 pixels, but has 800 x 600: probably cropped or scaled since. A GPS position is "
    "present.",
    "The search for clones makes a manipulation more than 100 times more likely than it is on average.",
    "JPEG files of quality 90 or more of 0.5 to 2 megapixels",
    "Made with a screenshot tool (named “Greenshot”).",
    "Declared as edited with a raw converter of a camera's maker",
)
NAMES = re.compile("C2PA Signer|Greenshot|Midjourney|A cat. Two hats.|Google AI")


@pytest.mark.parametrize("text", FOUND)
@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_what_measurements_find_leaves_no_english(language, text):
    with speaking(language):
        told = translated(text)

    english = set(re.findall("[a-z]{4,}", NAMES.sub("", text)))
    kept = set(re.findall("[a-z]{4,}", NAMES.sub("", told)))
    # Words that two languages share.
    assert english & kept <= {
        "archive",
        "bytes",
        "manipulation",
        "megapixels",
        "pixels",
        "position",
        "tables",
        "texture",
    }
    assert [name in told for name in NAMES.findall(text)] == [True] * len(NAMES.findall(text))


def test_german_declines_no_name_that_it_fills_in():
    with speaking("de"):
        assert translated("The search for JPEG ghosts hardly moved the score.") == (
            "Die Messung „JPEG-Geister“ hat den Score kaum bewegt."
        )
        rates = ErrorRates(translated("lossless files"), 50, 1, 40, 10)
        assert "für diese Art von Dateien (verlustfreie Dateien)" in wording.error_rates(rates)


@pytest.mark.parametrize("text", ["", "a" * 100_000, ". " * 50_000, "Signed" + " by x" * 20_000, "{share}"])
def test_any_text_can_be_translated(text):
    with speaking("hi"):
        assert translated(text) == text


def test_arabic_is_written_from_right_to_left():
    assert [code for code in LANGUAGES if direction(code) == "rtl"] == ["ar"]
