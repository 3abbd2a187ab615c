"""Case work: notes and tags, the history, private analyses, and what the browser remembers."""

from __future__ import annotations

import re
import threading

import pytest
from flask import Response, request
from playwright.sync_api import Page, expect

import samples
from fakes import fake_app
from tamperscope.settings import Settings


def choose(page: Page, png: bytes, name: str = "beach.png") -> None:
    page.set_input_files("#files", [{"name": name, "mimeType": "image/png", "buffer": png}])
    expect(page.locator(".stage[data-ready]")).to_be_visible()


def describe(page: Page, **texts: str) -> None:
    page.get_by_text("Case and notes").click()
    for label, text in texts.items():
        page.locator(".case-form").get_by_label(label.replace("_", " ")).fill(text)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".case-form [role=status]")).to_contain_text("Saved")


def test_title_case_notes_and_tags_are_found_in_the_history(visit, photo_png):
    page = visit()
    choose(page, photo_png)
    describe(page, Title="The flood", Case_number="2026/7", Tags="water, reader", Note_on_region_1a="A car")

    expect(page.locator(".name")).to_contain_text("The flood")
    page.get_by_role("link", name="History").click()
    row = page.locator("#history .rows li")
    expect(row).to_contain_text("The flood")
    expect(row).to_contain_text("case 2026/7")
    expect(row.locator(".tags bdi")).to_have_text(["water", "reader"])
    page.locator("#history").get_by_label("Search").fill("snow")
    page.keyboard.press("Enter")
    expect(page.locator("#history .empty")).to_contain_text("No analysis fits.")
    page.locator("#history").get_by_label("Search").fill("flood car")
    page.locator("#history").get_by_label("Tag").fill("Water")
    page.keyboard.press("Enter")
    row.get_by_role("link").click()
    page.get_by_text("Case and notes").click()
    expect(page.get_by_label("Note on region 1a")).to_have_value("A car")


def test_the_title_can_be_the_name_of_the_file(visit, photo_png):
    page = visit()
    choose(page, photo_png)
    page.get_by_text("Case and notes").click()
    page.get_by_role("button", name="Use the file’s name").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".case-form [role=status]")).to_contain_text("Saved")

    page.evaluate("sessionStorage.clear()")
    page.get_by_role("link", name="History").click()
    expect(page.locator("#history .rows li")).to_contain_text("beach.png")


def test_an_emptied_note_is_gone(visit, photo_png):
    page = visit()
    choose(page, photo_png)
    describe(page, Note_on_region_1a="A car", Tags="water")
    page.get_by_label("Note on region 1a").fill("")
    page.get_by_label("Tags").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".case-form [role=status]")).to_contain_text("Saved")

    page.reload()
    page.get_by_text("Case and notes").click()
    expect(page.get_by_label("Note on region 1a")).to_have_value("")
    expect(page.get_by_label("Tags")).to_have_value("")


def test_the_link_can_be_copied_and_says_for_whom_it_opens(visit, photo_png):
    page = visit()
    choose(page, photo_png)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()

    expect(page.get_by_role("button", name="Copied.")).to_contain_text("everyone who reaches this server")
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_a_private_analysis_is_in_no_list_and_ends_with_the_page(visit, photo_png):
    app, deleted = fake_app(), threading.Event()

    @app.after_request
    def note(response: Response) -> Response:
        if request.method == "DELETE":
            deleted.set()
        return response

    page = visit(app)
    page.get_by_label("Also keep the pictures").check()
    page.get_by_label("Private:").check()
    expect(page.get_by_label("Also keep the pictures")).not_to_be_checked()
    choose(page, photo_png)
    expect(page.locator(".result > .titled")).to_contain_text("Private: deleted when you leave this page.")
    expect(page.get_by_role("button", name="Keep the picture")).to_have_count(0)
    address = "/v1/analyses/" + page.url.rsplit("/", 1)[1]
    assert app.test_client().get(address).status_code == 200

    page.get_by_role("link", name="History").click()
    expect(page.locator("#history .empty")).to_contain_text("Nothing here yet.")
    assert page.evaluate("Object.keys(sessionStorage).length") == 0
    page.reload()
    assert deleted.wait(60)
    assert app.test_client().get(address).status_code == 404


def test_a_thumbnail_comes_from_the_server_where_it_keeps_the_picture(visit, photo_png):
    app = fake_app()
    page = visit(app)
    page.get_by_label("Also keep the pictures").check()
    choose(page, photo_png)
    page.evaluate("sessionStorage.clear()")
    page.get_by_role("link", name="History").click()

    expect(page.locator("#history .rows img")).to_have_attribute("src", re.compile("^blob:"))


@pytest.mark.parametrize("lasting", [True, False])
def test_names_outlive_the_tab_only_if_the_reader_wants_it(visit, photo_png, lasting):
    page = visit()
    choose(page, photo_png)
    page.get_by_role("link", name="History").click()
    page.get_by_label("Remember the pictures").set_checked(lasting)
    other = page.context.new_page()
    other.goto(page.url)

    expect(other.locator("#history .rows li")).to_contain_text("beach.png" if lasting else "PNG, 160 × 120")
    expect(other.get_by_label("Remember the pictures")).to_be_checked(checked=lasting)


def test_one_click_says_that_the_verdict_was_wrong(visit, photo_png):
    app = fake_app()
    page = visit(app)
    choose(page, photo_png)
    card = page.locator(".feedback")
    expect(card.get_by_text("How?")).to_be_hidden()
    card.get_by_role("button", name="It is authentic").click()
    expect(card.get_by_role("status")).to_have_text("Saved.")
    address = "/v1/analyses/" + page.url.rsplit("/", 1)[1]
    assert app.test_client().get(address).get_json()["feedback"]["truth"] == "authentic"

    card.get_by_role("button", name="It was manipulated").click()
    card.get_by_label("How?").select_option("face")
    page.get_by_role("button", name="Zoom in").click()
    card.get_by_role("button", name="It is the part that is shown now").click()
    expect(card.get_by_role("status")).to_contain_text("Saved, with the place: ")
    told = app.test_client().get(address).get_json()["feedback"]
    assert (told["truth"], told["type"]) == ("manipulated", "face")
    assert 0 < told["region"]["x"] < 160
    assert told["region"]["x"] + told["region"]["width"] < 160

    page.reload()
    expect(card.get_by_role("button", name="It was manipulated")).to_have_attribute("aria-pressed", "true")
    card.get_by_role("button", name="Take it back").click()
    expect(card.get_by_role("button", name="It was manipulated")).to_have_attribute("aria-pressed", "false")
    assert app.test_client().get(address).get_json()["feedback"] is None


def test_two_analyses_are_shown_side_by_side_with_what_differs(visit):
    one = samples.photo(160, 120)
    other = one.copy()
    other[40:70, 50:90] = (250, 20, 20)
    files = [
        {"name": f"{name}.png", "mimeType": "image/png", "buffer": samples.encode(pixels, "PNG")}
        for name, pixels in (("original", one), ("published", other))
    ]
    page = visit()
    for file in files:
        page.set_input_files("#files", [file])
        expect(page.locator(".name bdi")).to_have_text(file["name"])
    page.get_by_text("Another analysis").click()
    expect(page.get_by_label("Other analysis")).to_contain_text("original.png")
    page.get_by_role("button", name="Show side by side").click()

    expect(page.locator(".comparison[data-ready]")).to_contain_text("1 region differs")
    expect(page.locator(".sides .name bdi")).to_have_text(["published.png", "original.png"])
    page.get_by_role("button", name="D1: ").click()
    # Both show the same part: the red box on one side only.
    reds = [
        (samples.decode(canvas.screenshot()).astype(int) @ (1, -0.5, -0.5) > 150).mean()
        for canvas in page.locator(".sides canvas").all()
    ]
    assert reds[0] > 0.05 > 0.02 > reds[1]
    expect(page.locator(".facts-of-two tr", has_text="Format").locator("td").first).to_have_text("PNG")

    page.reload()
    expect(page.locator(".comparison")).to_contain_text("Comparing needs both pictures")


def test_without_keys_the_page_says_who_sees_the_list(visit, tmp_path):
    told = visit().get_by_text("This server has no keys: everyone who reaches it sees the list")
    expect(told).to_be_visible()

    (tmp_path / "keys.json").write_text("{}", "utf-8")
    keyed = visit(fake_app(Settings(keys=tmp_path / "keys.json")))
    expect(keyed.get_by_text("This server has no keys")).to_be_hidden()


def test_a_result_can_be_left_while_a_frame_is_due(visit, photo_png):
    page = visit()
    choose(page, photo_png)
    # The fixture fails the test on any error of the page, such as drawing a picture that was closed.
    page.evaluate(
        """() => new Promise((resolve) => requestAnimationFrame(() => {
            const zoom = new WheelEvent("wheel", { deltaY: -100, ctrlKey: true });
            document.querySelector(".stage canvas").dispatchEvent(zoom);
            location.hash = "#/history";
            setTimeout(resolve, 300);
        }))"""
    )
    expect(page.locator("#history")).to_be_visible()
