"""The catalogues: every text in every language, with its placeholders and the language's plurals."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from languages.sources import bare_texts, page_texts, report_texts, stored_texts
from tamperscope.languages import ENGLISH, LANGUAGES, catalogue, plural, speaking, translated

TRANSLATED = [code for code in LANGUAGES if code != ENGLISH]
SCRIPTS = {"ar": "[\u0600-\u06ff]", "hi": "[\u0900-\u097f]"}
SECTIONS = {"page": page_texts, "reports": report_texts}


def forms(told: str | Mapping[str, str]) -> Mapping[str, str]:
    return {"other": told} if isinstance(told, str) else told


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{(\w+)\}", text)))


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_in_every_catalogue(language, section):
    written, known = SECTIONS[section](), set(catalogue(language, section))

    assert not written - known, "missing"
    assert not known - written, "no longer used"


def test_the_page_writes_no_text_that_it_does_not_translate():
    # A singular for `tn` stands in the catalogue under its plural.
    assert bare_texts() == {"The findings stay for one day, and you can delete them."}


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_placeholders_of_its_text(language, section):
    for english, told in catalogue(language, section).items():
        for form in forms(told).values():
            # A word for one or two of a thing needs no number.
            assert placeholders(form) in (placeholders(english), sorted({*placeholders(english)} - {"count"}))
        assert placeholders(forms(told)["other"]) == placeholders(english)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("language", TRANSLATED)
def test_a_plural_has_every_form_of_the_language(language, section):
    needed = {plural(count, language) for count in (*range(201), 1_000_000)}
    for english, told in catalogue(language, section).items():
        assert isinstance(told, str) or set(told) == needed, english


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("language", SCRIPTS)
def test_a_translation_is_in_the_script_of_its_language(language, section):
    for english, told in catalogue(language, section).items():
        if re.search("[a-z]{3}", re.sub(r"\{\w+\}", "", english)) and english not in ("Esc", "Tab"):
            assert re.search(SCRIPTS[language], forms(told)["other"]), english


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_keeps_the_spaces_at_its_ends(language):
    for english, told in catalogue(language, "reports").items():
        if english.startswith(" "):
            assert all(form.startswith((" ", ",", "،")) for form in forms(told).values())


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_finished_sentence_is_recognised_as_its_own_template(language):
    """Values never make a sentence look like another one."""
    with speaking(language):
        for english in sorted(stored_texts()):
            told = str(catalogue(language, "reports")[english])
            values = {name: f"{name.upper()}7" for name in placeholders(english)}
            finished = english.format(**values)
            assert translated(finished) == told.format(**values), english
