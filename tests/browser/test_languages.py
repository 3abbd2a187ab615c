"""The page in every language: what the browser asks for, what the reader chooses, and both directions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tamperscope import languages
from tamperscope.languages import LANGUAGES, catalogue
from tamperscope.server.views import page as page_view

HEADLINES = {code: catalogue(code, "reports").get("Manipulated", "Manipulated") for code in LANGUAGES}


def analyse(page: Page, photo_png: bytes) -> None:
    page.set_input_files("#files", [{"name": "a.png", "mimeType": "image/png", "buffer": photo_png}])
    expect(page.locator(".stage[data-ready]")).to_be_visible()


def findings(page: Page) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in Axe().run(page).response["violations"]
        for node in violation["nodes"]
    ]


def box(page: Page, selector: str) -> dict[str, float]:
    found = page.locator(selector).first.bounding_box()
    assert found is not None
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_small_phone_breaks_no_word_of_the_navigation_and_scrolls_only_downwards(
    visit, photo_png, language
):
    page = visit(locale=language, width=360)
    analyse(page, photo_png)

    for link in page.locator(".bar nav a").all():
        # One line of text, within the touch target.
        assert link.evaluate("link => link.getClientRects()[0].height") < 48
    assert box(page, ".bar")["height"] < 60
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    # The handle that divides the picture starts at its left edge in every language.
    assert box(page, ".screen .tools")["x"] > 180


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_speaks_the_browsers_language_and_has_no_accessibility_findings(visit, photo_png, language):
    page = visit(locale=language)
    found = {"start": findings(page)}
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")

    analyse(page, photo_png)
    expect(page.locator(".verdict h1")).to_have_text(HEADLINES[language])
    for fold in page.locator("details.folded").all():
        fold.evaluate("fold => (fold.open = true)")
    found["result"] = findings(page)

    page.locator("[data-route=history]").click()
    expect(page.locator("#history .rows li")).to_have_count(1)
    found["history"] = findings(page)

    assert {view: told for view, told in found.items() if told} == {}


def test_the_reader_chooses_a_language_and_the_page_remembers_it(visit, photo_png):
    page = visit(locale="en-GB")
    expect(page.locator("h1").first).to_have_text("Has this picture been altered?")

    page.get_by_label("Language").select_option("de")
    expect(page.locator("h1").first).to_have_text("Wurde dieses Bild verändert?")
    expect(page.get_by_label("Sprache")).to_have_value("de")

    page.reload()
    expect(page.locator("h1").first).to_have_text("Wurde dieses Bild verändert?")
    analyse(page, photo_png)
    expect(page.locator(".verdict h1")).to_have_text("Manipuliert")
    with page.expect_download() as started:
        page.get_by_role("button", name="Bericht, HTML").click()
    assert '<html lang="de" dir="ltr">' in Path(started.value.path()).read_text("utf-8")


def test_numbers_follow_the_language(visit, photo_png):
    page = visit(locale="de-AT")

    analyse(page, photo_png)

    expect(page.locator(".certainty summary .note")).to_have_text("Score 0,90")


def test_a_page_from_right_to_left_is_mirrored(visit, photo_png):
    width = 1280
    boxes = {}
    for locale in ("en-GB", "ar"):
        page = visit(locale=locale, width=width)
        boxes[locale] = [box(page, ".brand"), box(page, ".drop")]
        analyse(page, photo_png)
        boxes[locale] += [box(page, ".about"), box(page, ".controls .field")]

    for english, arabic in zip(boxes["en-GB"], boxes["ar"], strict=True):
        assert (english["x"] + english["width"] / 2 < width / 2) is not (
            arabic["x"] + arabic["width"] / 2 < width / 2
        )


# What is not the page's: names of formats and programs, digests, and words of the fake that analyses.
FOREIGN = re.compile(
    r"^[\W\d_]*$|^(tamperscope|API|CSV|JSON|Esc|Tab|H|Google Lens|TinEye|Bing|Yandex)"
    r"|^(JPEG|PNG|SHA-256|fake \d)|^[0-9a-f]{20,}$|^\d[\d.,]* ?(kB|MB|MiB|×|%)|^\d+[ab]$|^[\w ]+, \d\d:\d\d|^http://127|a\.png"
    r"|found by a fake|^Brighter|^what (you|it)|^Nothing odd|^Not a JPEG"
)
TEXTS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { parentElement: parent, textContent: text } = walker.currentNode;
    if (parent.closest("script, style, noscript, select#language, .facts, time")) continue;
    found.push(text.trim());
  }
  for (const element of document.querySelectorAll("[aria-label], [title], [placeholder], img[alt]"))
    for (const name of ["aria-label", "title", "placeholder", "alt"])
      found.push(element.getAttribute(name) ?? "");
  return found.filter(Boolean);
}"""


@pytest.fixture
def marked(monkeypatch):
    """Let German be English with every text of the catalogues between brackets."""
    real = catalogue("de", "page"), catalogue("de", "reports")

    def bracketed(language: str, section: str) -> dict[str, str]:
        return {english: f"⟦{english}⟧" for english in real[section == "reports"]} if language == "de" else {}

    caches = (page_view.page_in, page_view._files, languages._catalogue, languages._templates)
    monkeypatch.setattr(languages, "catalogue", bracketed)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_no_text_escapes_the_catalogue(visit, photo_png, marked):
    page = visit(locale="de")
    found = {"start": page.evaluate(TEXTS)}

    analyse(page, photo_png)
    for fold in page.locator("details").all():
        fold.evaluate("fold => (fold.open = true)")
    found["result"] = page.evaluate(TEXTS)
    page.locator("[data-route=history]").click()
    expect(page.locator("#history .rows li")).to_have_count(1)
    found["history"] = page.evaluate(TEXTS)
    page.set_input_files("#files", [{"name": "a.png", "mimeType": "text/plain", "buffer": b"text"}])
    expect(page.get_by_role("alert")).to_be_visible()
    found["problem"] = page.evaluate(TEXTS)
    page.set_input_files(
        "#files", [{"name": f"{i}a.png", "mimeType": "image/png", "buffer": photo_png} for i in range(6)]
    )
    expect(page.locator(".batch tbody tr")).to_have_count(8)
    found["table"] = page.evaluate(TEXTS)

    escaped = {
        view: [text for text in texts if "⟦" not in text and not FOREIGN.search(text)]
        for view, texts in found.items()
    }
    assert [(view, text) for view, texts in escaped.items() for text in texts] == []
