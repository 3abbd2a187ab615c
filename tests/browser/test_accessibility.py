"""axe-core finds no serious violation in any view of the page, in light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:300]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_no_serious_violation(visit, photo_png, scheme, width):
    page = visit(scheme=scheme, width=width)
    found = {"start": serious(page)}

    page.set_input_files("#files", [{"name": "a.png", "mimeType": "image/png", "buffer": photo_png}])
    expect(page.locator(".stage[data-ready]")).to_be_visible()
    page.locator(".regions button").click()
    page.get_by_role("button", name="It was manipulated").click()
    expect(page.get_by_label("How?")).to_be_visible()
    found["result"] = serious(page)

    page.get_by_text("Case and notes").click()
    expect(page.locator(".case-form")).to_be_visible()
    found["case"] = serious(page)

    page.get_by_text("Look closer").click()
    found["tools"] = serious(page)

    page.get_by_role("button", name="Delete this analysis").click()
    found["question"] = serious(page)
    page.keyboard.press("Escape")

    address = page.url.split("#")[0]
    id = page.url.rsplit("/", 1)[1]
    page.evaluate("where => (location.href = where)", f"{address}#/compare/{id}/{id}")
    expect(page.locator(".comparison[data-ready]")).to_be_visible()
    found["comparison"] = serious(page)

    page.get_by_role("link", name="History").click()
    expect(page.locator("#history .rows li")).to_have_count(1)
    found["history"] = serious(page)

    page.set_input_files("#files", [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"text"}])
    expect(page.get_by_role("alert")).to_be_visible()
    found["problem"] = serious(page)

    assert {view: violations for view, violations in found.items() if violations} == {}
