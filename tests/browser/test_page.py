"""What users see and do on the page, from dropping a picture to downloading a report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from threading import Thread

import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import Page, Route, expect

import samples
from fakes import FakeDetector, fake_app, unready_app
from tamperscope import Detector
from tamperscope.documents.findings import REQUEST_FOR_ORIGINAL
from tamperscope.images import read_image, rendering
from tamperscope.report import Report, Verdict
from tamperscope.server.app import controls
from tamperscope.server.middleware.keys import create_key
from tamperscope.settings import Settings

PHONE = 360


def file(data: bytes, name: str = "beach.png", kind: str = "image/png") -> dict[str, object]:
    return {"name": name, "mimeType": kind, "buffer": data}


def choose(page: Page, *files: dict[str, object]) -> None:
    page.set_input_files("#files", list(files))


def verdict(page: Page, text: str = "Manipulated") -> None:
    expect(page.locator(".verdict h1")).to_have_text(text)
    expect(page.locator(".stage[data-ready]")).to_be_visible()


def download(page: Page, label: str) -> bytes:
    with page.expect_download() as started:
        page.get_by_role("button", name=label, exact=True).click()
    return Path(started.value.path()).read_bytes()


def set_range(page: Page, label: str, value: int) -> None:
    page.get_by_label(label, exact=True).fill(str(value))


def answering(status: int, body: str) -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=status, body=body)


def pixel(page: Page, x: float, y: float) -> tuple[int, int, int]:
    """Return the colour at a point of the drawn canvas, given as shares of its width and height."""
    script = """([x, y]) => new Promise((tell) => requestAnimationFrame(() => requestAnimationFrame(() => {
        const canvas = document.querySelector("canvas");
        const at = [Math.round(x * canvas.width), Math.round(y * canvas.height)];
        tell([...canvas.getContext("2d").getImageData(...at, 1, 1).data.slice(0, 3)]);
    })))"""
    red, green, blue = page.evaluate(script, [x, y])
    return red, green, blue


def transfer(page: Page, event: str, data: bytes) -> None:
    """Drop or paste a file with the event that the browser would dispatch."""
    page.evaluate(
        """([event, bytes]) => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(bytes)], "beach.png", {type: "image/png"}));
            const made = {
                drop: () => new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}),
                paste: () => new ClipboardEvent("paste", {clipboardData: files, bubbles: true}),
            };
            document.body.dispatchEvent(made[event]());
        }""",
        [event, list(data)],
    )


class TestFromPictureToReport:
    def test_a_chosen_picture_gets_its_verdict_in_words(self, visit, photo_png):
        page = visit()
        choose(page, file(photo_png))

        verdict(page)
        expect(page.locator(".name")).to_contain_text("beach.png")
        expect(page.locator(".verdict")).to_contain_text(
            "Two regions show the same thing: 1a at the upper left and 1b at the lower right."
        )
        expect(page.locator(".certainty p").first).to_be_hidden()
        page.get_by_text("How sure is this?").click()
        expect(page.locator(".certainty")).to_contain_text(
            "How often this model is wrong has not been measured"
        )
        expect(page.get_by_label("Score 0.90 on a scale from 0 to 1")).to_be_visible()
        expect(page.locator(".doubts")).to_contain_text("found by a fake")
        expect(page.locator(".regions button")).to_have_text(re.compile("Upper left: copy-move"))
        expect(page.locator(".facts").last).to_contain_text(read_image(photo_png).facts().sha256)
        expect(page.locator(".background")).to_contain_text("It is a lead for human judgement")

    def test_what_to_do_next_has_a_text_to_copy_and_links_that_send_nothing(self, visit, photo_png):
        page = visit()
        choose(page, file(photo_png))
        verdict(page)
        steps = page.locator(".steps li")
        expect(steps.first).to_contain_text("Compare 1a with 1b at full size.")
        steps.get_by_text("Show the text").click()
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        steps.get_by_role("button", name="Copy the text").click()
        expect(steps.get_by_role("button", name="Copied")).to_be_visible()

        assert page.evaluate("navigator.clipboard.readText()") == REQUEST_FOR_ORIGINAL
        for link in steps.get_by_role("link").all():
            assert link.get_attribute("rel") == "noopener noreferrer"
            assert "?" not in link.get_attribute("href")

    @pytest.mark.parametrize("event", ["drop", "paste"])
    def test_a_picture_can_be_dropped_and_pasted(self, visit, photo_png, event):
        page = visit()
        transfer(page, event, photo_png)

        verdict(page)

    def test_several_are_analysed_one_after_the_other(self, visit):
        page = visit()
        grey = samples.encode(np.zeros((60, 80, 3), np.uint8), "PNG")
        choose(page, file(samples.encode(samples.photo(seed=1), "PNG"), "one.png"), file(grey, "two.png"))

        strip = page.get_by_label("Pictures from this visit").get_by_role("link")
        expect(strip).to_have_text([re.compile("one.pngManipulated"), re.compile("two.pngNo manipulation")])
        strip.nth(1).click()
        verdict(page, "No manipulation found")
        expect(page.locator(".regions")).to_contain_text("None.")

    def test_the_sample_is_one_click_away(self, visit):
        page = visit()
        page.get_by_role("button", name="Try a sample").click()

        verdict(page)

    def test_everything_can_be_downloaded(self, visit, photo_png):
        page = visit()
        choose(page, file(photo_png))
        verdict(page)
        report = FakeDetector().analyze(photo_png)

        assert download(page, "Report, PDF").startswith(b"%PDF-")
        assert b"<h1>Manipulated</h1>" in download(page, "Report, HTML")
        assert json.loads(download(page, "Report, JSON"))["image"]["sha256"] == report.image.sha256
        assert download(page, "Mask") == rendering.encode_png(rendering.mask_image(report.mask))
        assert samples.decode(download(page, "Heatmap")).shape == (120, 160, 3)
        overlay = np.asarray(PIL.Image.open(BytesIO(download(page, "Overlay"))).convert("RGB"))
        assert np.array_equal(overlay, rendering.overlay(read_image(photo_png).pixels, report.mask))

    def test_the_default_bundle_finds_the_third_clog(self, visit):
        detector = Detector.load()
        page = visit(fake_app(detector=detector))
        page.get_by_role("button", name="Try a sample").click()

        verdict(page)
        expect(page.locator(".regions button").first).to_contain_text("copy-move")
        expect(page.locator(".regions button").first).to_contain_text("1b")
        clones = page.get_by_role("tab", name="Clones")
        expect(clones).to_contain_text("unusual")
        clones.click()
        expect(page.get_by_role("tabpanel")).to_contain_text("turned by")


class TestProgress:
    def test_each_stage_is_shown_while_it_lasts_and_can_be_cancelled(self, visit, photo_png):
        detector = FakeDetector(holding=True)
        page = visit(fake_app(detector=detector))
        choose(page, file(photo_png), file(photo_png, "second.png"))

        expect(page.locator("[aria-current='step']")).to_contain_text("Analysing")
        expect(page.locator(".progress")).to_contain_text("100 % of")
        page.get_by_label("Pictures from this visit").get_by_role("link").nth(1).click()
        expect(page.locator("[aria-current='step']")).to_have_text("Waiting1 ahead of it")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("heading", name="Has this picture been altered?")).to_be_visible()
        detector.release.set()


class TestWhatGoesWrong:
    def test_a_bad_file_is_reported_as_one(self, visit):
        page = visit()
        tiny = samples.encode(samples.photo(20, 16), "PNG")
        for data, title, sentence in (
            (b"", "Nothing to analyse", "The file is empty."),
            (b"just text", "Not a supported picture format", "JPEG, PNG"),
            (b"\x89PNG\r\n\x1a\n", "Cannot be read", "cut off in transfer"),
            (tiny, "Too small", "Look for a larger version"),
        ):
            choose(page, file(data, "notes.png"))

            alert = page.get_by_role("alert")
            expect(alert.get_by_role("heading")).to_have_text(title)
            expect(alert).to_contain_text("notes.png")
            expect(alert).to_contain_text(sentence)
            expect(alert.get_by_role("button")).to_have_count(0)
            alert.get_by_role("link", name="Choose another picture").click()
            expect(page.get_by_role("button", name="Choose pictures")).to_be_visible()

    def test_a_file_beyond_the_limit_is_not_even_sent(self, visit, photo_png):
        page = visit(fake_app(Settings(max_bytes=1000)))
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.method))
        choose(page, file(photo_png))

        expect(page.get_by_role("alert")).to_contain_text("this server accepts up to 1 kB")
        expect(page.get_by_role("alert")).to_contain_text("Ask the server's operator to raise the limit.")
        assert "POST" not in sent

    def test_a_busy_server_gets_the_picture_again(self, visit, photo_png):
        detector = FakeDetector(holding=True)
        app = fake_app(Settings(workers=1, queue=0), detector)
        other = Thread(
            target=app.test_client().post,
            args=("/classify",),
            kwargs={"data": {"image": (BytesIO(photo_png), "a")}},
        )
        other.start()
        assert detector.entered.acquire(timeout=30)
        page = visit(app)
        choose(page, file(photo_png))

        pause = page.locator(".progress")
        expect(pause).to_contain_text(re.compile(r"The server is busy.*Trying again in [345] s"))
        detector.release.set()
        other.join()
        pause.get_by_role("button", name="Try now").click()
        verdict(page)

    def test_what_fails_for_a_moment_is_sent_again_without_a_click(self, visit, photo_png):
        page = visit()
        refused = iter([{"status": 429, "headers": {"Retry-After": "1"}}, {"status": 502}, None])

        def sometimes(route: Route) -> None:
            answer = next(refused, None) if route.request.method == "POST" else None
            route.fulfill(**answer, body="") if answer else route.continue_()

        page.route("**/v1/analyses", sometimes)
        choose(page, file(photo_png))

        verdict(page)

    def test_a_picture_dropped_while_the_model_loads_is_analysed_once_it_is_ready(self, visit, photo_png):
        app = unready_app(FakeDetector)
        page = visit(app)
        expect(page.locator("#starting")).to_contain_text("The server is starting up")
        choose(page, file(photo_png))
        expect(page.locator(".progress")).to_contain_text("Starting up")
        controls(app).reload()

        verdict(page)
        expect(page.locator("#starting")).to_be_hidden()

    def test_a_link_is_explained_and_not_followed(self, visit):
        page = visit()
        page.evaluate(
            """() => {
                const link = new DataTransfer();
                link.setData("text/uri-list", "https://news.example/photo.jpg");
                const drop = new DragEvent("drop", {dataTransfer: link, bubbles: true, cancelable: true});
                document.body.dispatchEvent(drop);
                document.body.dataset.stopped = drop.defaultPrevented;
            }"""
        )

        expect(page.locator("#links")).to_contain_text("This server opens no addresses")
        assert page.evaluate("document.body.dataset.stopped") == "true"

    def test_every_other_refusal_has_its_own_message(self, visit, photo_png):
        page = visit()
        for status, title in (
            (400, "Nothing to analyse"),
            (403, "Not allowed"),
            (413, "Too large"),
            (500, "Something went wrong"),
            (505, "Something went wrong"),
        ):
            # A proxy in front responds with HTML, which the page does not show.
            body = "<h1>Unsupported</h1>" if status == 505 else json.dumps({"detail": f"Refused: {status}."})
            page.route("**/v1/analyses", answering(status, body))
            choose(page, file(photo_png))

            alert = page.get_by_role("alert")
            expect(alert.get_by_role("heading")).to_have_text(title)
            expect(alert).to_contain_text(
                "The server's log has the details." if status == 505 else f"Refused: {status}."
            )
            page.unroute("**/v1/analyses")

    def test_a_server_that_does_not_respond(self, visit, photo_png):
        page = visit()
        page.route("**/v1/analyses", lambda route: route.abort())
        choose(page, file(photo_png))

        expect(page.locator(".progress")).to_contain_text("The server cannot be reached.")
        page.unroute("**/v1/analyses")
        page.get_by_role("button", name="Try now").click()
        verdict(page)

    def test_the_address_of_an_unknown_analysis(self, visit):
        page = visit()
        page.evaluate("location.hash = '#/analyses/" + "0" * 32 + "'")

        expect(page.get_by_role("alert")).to_contain_text("There is no such analysis")


class TestLookingClosely:
    @pytest.fixture
    def page(self, visit, photo_png):
        page = visit()
        choose(page, file(photo_png))
        verdict(page)
        return page

    def test_marked_regions_are_outlined_and_the_rest_is_dimmed(self, page, photo_png):
        expect(page.get_by_label("Layer")).to_have_value("regions")
        expect(page.locator(".legend")).to_have_text("marked, or the copythe likely source of a copy")
        inside, outside = pixel(page, 0.2, 0.2), pixel(page, 0.5, 0.2)
        page.get_by_label("Layer").select_option("none")

        assert pixel(page, 0.2, 0.2) == inside
        bare = pixel(page, 0.5, 0.2)
        assert sum(outside) < 0.75 * sum(bare)

    def test_the_heatmap_is_shown_while_its_key_is_held(self, page):
        before = pixel(page, 0.2, 0.2)
        page.get_by_role("img", name="The picture.").focus()
        page.keyboard.down("h")
        held = pixel(page, 0.2, 0.2)
        page.keyboard.up("h")

        assert held != before
        assert pixel(page, 0.2, 0.2) == before

    def test_the_line_separates_the_picture_from_the_heatmap(self, page):
        page.get_by_label("Layer").select_option("heatmap")
        page.get_by_label("Outlines").uncheck()
        set_range(page, "Opacity", 100)
        covered = pixel(page, 0.3, 0.4)
        set_range(page, "Compare", 60)
        bare = pixel(page, 0.3, 0.4)
        set_range(page, "Opacity", 0)
        set_range(page, "Compare", 0)

        assert covered != bare
        assert pixel(page, 0.3, 0.4) == bare

    def test_the_line_can_be_dragged(self, page):
        canvas = page.get_by_role("img", name="The picture.").bounding_box()
        middle = canvas["x"] + canvas["width"] / 2
        height = canvas["y"] + canvas["height"] / 2
        # The picture, four to three, is in the middle of the canvas, and the line is at its left edge.
        page.mouse.move(middle - canvas["height"] * 4 / 3 / 2 + 1, height)
        page.mouse.down()
        page.mouse.move(middle, height, steps=4)
        page.mouse.up()

        expect(page.get_by_label("Compare", exact=True)).to_have_value("50")

    def test_the_threshold_redraws_the_mask_without_the_server(self, page, photo_png):
        share = FakeDetector().analyze(photo_png).mask.mean()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/v1/" in request.url else None)
        expect(page.locator("#marked")).to_have_text(
            re.compile(rf"^{100 * share:.0f}\s% marked at 0.50 or above$")
        )
        set_range(page, "Threshold", 80)
        none = pixel(page, 0.3, 0.4)
        expect(page.locator("#marked")).to_have_text(re.compile(r"^0\s% marked at 0.80 or above$"))
        expect(page.get_by_label("Layer")).to_have_value("mask")
        page.get_by_role("button", name="Reset to 0.50").click()

        assert pixel(page, 0.3, 0.4)[1] > none[1]
        expect(page.locator("#marked")).to_contain_text("at 0.50 or above")
        assert asked == []

    def test_evidence_can_be_shown_over_the_picture(self, page):
        page.get_by_label("Outlines").uncheck()
        before = pixel(page, 0.9, 0.9)
        page.get_by_role("button", name="Show over the picture").click()
        expect(page.get_by_label("Layer")).to_have_value("error_level")

        page.wait_for_function(
            """before => {
                const canvas = document.querySelector("canvas");
                const at = [Math.round(0.9 * canvas.width), Math.round(0.9 * canvas.height)];
                return String(canvas.getContext("2d").getImageData(...at, 1, 1).data.slice(0, 3)) !== before;
            }""",
            arg=",".join(map(str, before)),
        )

    def test_zooming_and_moving(self, page):
        page.get_by_label("Layer").select_option("none")
        page.get_by_label("Outlines").uncheck()
        whole = pixel(page, 0.1, 0.1)
        for _ in range(3):
            page.get_by_role("button", name="Zoom in").click()
        closer = pixel(page, 0.1, 0.1)
        box = page.get_by_role("img", name="The picture.").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 400, box["y"] + 330, steps=4)
        page.mouse.up()
        moved = pixel(page, 0.1, 0.1)
        page.get_by_role("button", name="Show all").click()

        assert len({whole, closer, moved}) == 3
        assert pixel(page, 0.1, 0.1) == whole

    def test_a_region_is_selected_in_the_picture_and_in_the_list(self, page):
        entry = page.locator(".regions button")
        box = page.get_by_role("img", name="The picture.").bounding_box()
        # Inside the fake's triangle, whose right angle is at an eighth of the picture.
        page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
        expect(entry).to_have_attribute("aria-pressed", "true")
        entry.click()
        expect(entry).to_have_attribute("aria-pressed", "false")

    def test_each_measurement_has_a_tab_with_its_explanation(self, page):
        tabs = page.get_by_role("tab")
        expect(tabs).to_have_text(
            ["Error levelvery unusual", "Metadataslightly unusual", "JPEG gridnot applicable"]
        )
        expect(page.get_by_role("tabpanel").get_by_role("img", name="Map: Error level")).to_be_visible()
        tabs.nth(2).click()
        panel = page.get_by_role("tabpanel")
        expect(panel).to_contain_text("Not a JPEG.")
        expect(panel).to_contain_text("what it cannot")


@pytest.mark.parametrize(("image_format", "kind"), [("TIFF", "image/tiff"), ("HEIF", "image/heic")])
def test_a_file_that_browsers_cannot_show_is_shown_as_the_analysis_saw_it(visit, image_format, kind):
    page = visit()
    picture = samples.photo(160, 120)
    choose(page, file(samples.encode(picture, image_format), "scan", kind))
    verdict(page)
    expect(page.locator(".notice")).to_be_hidden()
    page.get_by_label("Layer").select_option("none")

    assert np.abs(pixel(page, 0.5, 0.5) - picture[58:63, 78:83].mean(axis=(0, 1))).max() < 40


def test_an_animation_shows_the_picture_and_its_findings_in_turn(visit, photo_png):
    page = visit()
    choose(page, file(photo_png))
    verdict(page)
    with PIL.Image.open(BytesIO(download(page, "Animation"))) as animated:
        frames = []
        for number in range(animated.n_frames):
            animated.seek(number)
            frames.append(np.asarray(animated.convert("RGB")).astype(int))

    assert (animated.format, animated.info["loop"], len(frames)) == ("WEBP", 0, 2)
    picture = np.asarray(PIL.Image.open(BytesIO(photo_png)).convert("RGB"))
    assert np.abs(frames[0] - picture).mean() < 8
    # The findings dim the picture outside the regions; the fake detector marks a triangle at the upper left.
    assert frames[1][80:, :40].mean() < 0.8 * frames[0][80:, :40].mean()
    assert np.abs(frames[1][24:30, 28:38] - frames[0][24:30, 28:38]).mean() < 12


def test_a_picture_too_large_for_a_canvas_is_sharp_where_the_reader_zooms_in(visit):
    stripes = np.zeros((320, 9000, 3), np.uint8)
    stripes[:, ::2, 1:] = 255
    page = visit(fake_app())
    choose(page, file(samples.encode(stripes, "PNG"), "wide.png"))
    verdict(page, "No manipulation found")
    for _ in range(7):
        page.get_by_role("button", name="Zoom in").click()

    # Scaled down they are an even grey.
    page.wait_for_function(
        """() => {
            const canvas = document.querySelector("canvas");
            const middle = [canvas.width / 2 - 20, canvas.height / 2, 40, 1];
            const row = canvas.getContext("2d").getImageData(...middle).data.filter((_, i) => i % 4 === 1);
            return Math.max(...row) - Math.min(...row) > 150;
        }"""
    )


class Hinting(FakeDetector):
    """Finds its region too weak to mark."""

    def analyze(self, source: object, **options: bool) -> Report:
        report = super().analyze(source, **options)
        hints = tuple(replace(region, source=None) for region in report.regions)
        nothing = np.zeros_like(report.mask)
        return replace(report, regions=(), hints=hints, mask=nothing, verdict=Verdict.INCONCLUSIVE, score=0.5)


def test_hints_are_dotted_explained_and_not_marked(visit, photo_png):
    page = visit(fake_app(detector=Hinting()))
    choose(page, file(photo_png))
    verdict(page, "Inconclusive")

    expect(page.locator(".regions")).to_contain_text("None.")
    expect(page.locator(".regions")).to_contain_text("Dotted outlines are hints, too weak to mark.")
    expect(page.locator(".legend")).to_contain_text("a hint, too weak to mark")
    expect(page.locator("#marked")).to_have_text(re.compile(r"^0\s% marked"))
    # Dots leave most of the outline's pixels as they are; the line is where the region begins, at an eighth.
    drawn = changed_by_outlines(page)
    assert 0 < drawn < 0.05


def changed_by_outlines(page: Page) -> float:
    """Return the share of the canvas that changes when the outlines are hidden."""
    pixels = """() => new Promise((tell) => requestAnimationFrame(() => {
        const canvas = document.querySelector("canvas");
        tell([...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]);
    }))"""
    outlined = np.array(page.evaluate(pixels))
    page.get_by_label("Outlines").uncheck()
    return float((np.array(page.evaluate(pixels)) != outlined).reshape(-1, 4).any(axis=1).mean())


@pytest.mark.parametrize(("grey", "text"), [(0, "No manipulation found"), (170, "Manipulated")])
def test_no_line_stands_at_the_edges_of_the_picture(visit, grey, text):
    page = visit()
    choose(page, file(samples.encode(np.full((534, 400, 3), grey, np.uint8), "PNG"), "even.png"))
    verdict(page, text)
    expect(page.locator(".stage[data-ready]")).to_be_visible()

    row = page.evaluate(
        """() => new Promise((tell) => requestAnimationFrame(() => {
            const canvas = document.querySelector("canvas");
            tell([...canvas.getContext("2d").getImageData(0, 12, canvas.width, 1).data]);
        }))"""
    )
    levels = np.array(row).reshape(-1, 4)[:, :3].max(axis=1)
    assert levels.max() <= levels[len(levels) // 2]


def test_a_transparent_picture_is_shown_on_white_as_it_was_analysed(visit):
    page = visit()
    choose(page, file(samples.encode(np.zeros((120, 160, 4), np.uint8), "PNG"), "logo.png"))
    verdict(page)
    page.get_by_label("Layer").select_option("none")

    assert pixel(page, 0.5, 0.5) == (255, 255, 255)


def test_an_empty_map_is_not_shown(visit, joint_bundle):
    page = visit(fake_app(detector=Detector(joint_bundle)))
    choose(page, file(samples.encode(samples.scene(160, 120), "PNG")))
    page.get_by_role("tab", name="Clones").click()
    panel = page.get_by_role("tabpanel")

    expect(panel).to_contain_text("The map is empty for this picture.")
    expect(panel.get_by_role("img")).to_have_count(0)


def test_the_preview_inside_a_file_is_shown_next_to_a_kept_picture(visit, joint_bundle):
    page = visit(fake_app(detector=Detector(joint_bundle)))
    carrying = samples.with_preview(samples.photo(60, 40, seed=1), picture=samples.photo(120, 80))
    choose(page, file(carrying, "phone.jpg", "image/jpeg"))
    page.get_by_role("tab", name="Metadata").click()
    panel = page.get_by_role("tabpanel")
    expect(panel).to_contain_text("The server keeps it only together with the picture.")
    panel.get_by_role("button", name="Keep the picture on the server").click()
    expect(page.locator(".kept")).to_contain_text("The server keeps the picture")
    page.get_by_role("tab", name="Metadata").click()

    expect(
        page.get_by_role("tabpanel").get_by_role("img", name="The preview inside the file")
    ).to_be_visible()
    expect(
        page.get_by_role("tabpanel").get_by_role("img", name="The picture, cropped to a square")
    ).to_be_visible()


class TestHistory:
    def test_earlier_analyses_are_listed_opened_and_deleted(self, visit, serve, photo_png):
        address = serve(fake_app())
        first = visit(address)
        choose(first, file(photo_png))
        verdict(first)
        first.get_by_role("link", name="History").click()
        expect(first.locator("#history .rows li")).to_contain_text("beach.png")

        other = visit(address)
        other.get_by_role("link", name="History").click()
        expect(other.locator("#history .rows li")).to_have_count(1)
        expect(other.locator("#history")).not_to_contain_text("beach.png")
        other.locator("#history .rows a").click()
        verdict(other)
        expect(other.locator(".notice")).to_contain_text("The picture was not kept.")
        other.get_by_role("button", name="Delete this analysis").click()
        other.get_by_role("button", name="Delete", exact=True).click()
        other.get_by_role("link", name="History").click()
        expect(other.locator("#history .empty")).to_contain_text("Nothing here yet.")

    def test_a_kept_picture_is_shown_to_later_visitors(self, visit, serve, photo_png):
        address = serve(fake_app())
        first = visit(address)
        first.get_by_label("Also keep the pictures on this server").check()
        choose(first, file(photo_png))
        verdict(first)

        other = visit(address)
        other.locator("#recent .rows a").click()
        verdict(other)
        expect(other.locator(".notice")).to_be_hidden()
        expect(other.locator(".kept")).to_contain_text("The server keeps the picture")

    def test_more_analyses_are_fetched_on_request(self, visit, photo_png):
        app = fake_app()
        for seed in range(23):
            picture = samples.encode(samples.photo(seed=seed), "PNG")
            app.test_client().post("/v1/analyses", data={"image": (BytesIO(picture), "a")})
        page = visit(app)
        page.get_by_role("link", name="History").click()
        expect(page.locator("#history .rows li")).to_have_count(20)
        page.get_by_role("button", name="Show more").click()

        expect(page.locator("#history .rows li")).to_have_count(23)
        expect(page.get_by_role("button", name="Show more")).to_be_hidden()


class TestKeys:
    @pytest.fixture
    def key(self, tmp_path):
        return create_key(tmp_path / "keys.json", "newsroom", admin=False, today=date(2026, 1, 31))

    @pytest.fixture
    def address(self, serve, key, tmp_path):
        return serve(fake_app(Settings(keys=tmp_path / "keys.json")))

    @staticmethod
    def enter(page: Page, key: str) -> None:
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Use this key").click()

    def test_the_page_asks_for_a_key_and_works_with_it(self, visit, address, key, photo_png):
        page = visit(address)
        choose(page, file(photo_png))
        self.enter(page, key)

        verdict(page)
        assert download(page, "Report, PDF").startswith(b"%PDF-")
        page.get_by_role("link", name="History").click()
        expect(page.locator("#history .rows li")).to_have_count(1)

    def test_a_wrong_key_is_reported_as_wrong(self, visit, address, key, photo_png):
        page = visit(address)
        choose(page, file(photo_png))
        self.enter(page, "tsk_wrong")
        expect(page.get_by_role("alert")).to_contain_text("This key is not valid on this server.")
        page.get_by_role("button", name="Enter a key").click()
        self.enter(page, key)

        verdict(page)

    def test_only_this_tab_remembers_the_key(self, visit, address, key):
        page = visit(address)
        page.get_by_role("button", name="Enter key").click()
        self.enter(page, key)
        expect(page.get_by_role("button", name="Change key")).to_be_visible()

        assert key in page.evaluate("Object.values(sessionStorage)")
        assert page.evaluate("localStorage.length + document.cookie.length") == 0
        assert page.context.cookies() == []
        expect(visit(address).get_by_role("button", name="Enter key")).to_be_visible()
        page.get_by_role("button", name="Change key").click()
        page.get_by_role("button", name="Forget the key").click()
        assert page.evaluate("sessionStorage.length") == 0


class TestKeyboardOnly:
    def test_from_the_sample_to_a_region_and_its_evidence(self, visit):
        page = visit()
        self.reach(page, "Try a sample")
        page.keyboard.press("Enter")
        verdict(page)
        expect(page.locator(".verdict h1")).to_be_focused()
        self.reach(page, "Upper left")
        page.keyboard.press("Space")
        expect(page.locator(".regions button")).to_have_attribute("aria-pressed", "true")
        self.reach(page, "Error level")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("tab", name="Metadata")).to_be_focused()
        expect(page.get_by_role("tabpanel")).to_contain_text("Nothing odd.")
        page.keyboard.press("End")
        expect(page.get_by_role("tab", name="JPEG grid")).to_have_attribute("aria-selected", "true")

    def test_the_picture_is_zoomed_and_moved(self, visit, photo_png):
        page = visit()
        choose(page, file(photo_png))
        verdict(page)
        page.get_by_label("Layer").select_option("none")
        page.get_by_label("Outlines").uncheck()
        page.get_by_role("img", name="The picture.").focus()
        whole = pixel(page, 0.1, 0.1)
        for key in ("+", "+", "+", "ArrowRight"):
            page.keyboard.press(key)
        closer = pixel(page, 0.1, 0.1)
        page.keyboard.press("0")

        assert closer != whole
        assert pixel(page, 0.1, 0.1) == whole

    @staticmethod
    def reach(page: Page, text: str) -> None:
        """Press Tab until the focus is on an element with this text."""
        for _ in range(40):
            page.keyboard.press("Tab")
            if text in page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"):
                return
        raise AssertionError(f"Tab never reaches {text!r}")


class TestOnAPhone:
    def test_nothing_is_wider_than_the_screen(self, visit, photo_png):
        page = visit(width=PHONE)
        states = {"start": lambda: None}
        states["result"] = lambda: (choose(page, file(photo_png)), verdict(page))
        states["history"] = lambda: page.get_by_role("link", name="History").click()
        for name, enter in states.items():
            enter()
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, name

    def test_the_verdict_comes_first_and_the_picture_next(self, visit, photo_png):
        page = visit(width=PHONE)
        choose(page, file(photo_png))
        verdict(page)
        tops = [
            page.locator(part).bounding_box()["y"]
            for part in (".verdict", ".stage", ".regions", ".downloads")
        ]

        assert tops == sorted(tops)


def test_the_keys_are_listed_on_a_question_mark(visit, photo_png):
    page = visit()
    choose(page, file(photo_png))
    verdict(page)
    page.get_by_text("Case and notes").click()
    page.get_by_label("Title").press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.locator("h1:visible").press("?")

    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("show the heatmap while held")


def test_touch_targets_are_44_pixels_high(visit, photo_png):
    page = visit(width=390)
    page.emulate_media(reduced_motion="reduce")
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    session.send("Emulation.setEmulatedMedia", {"features": [{"name": "pointer", "value": "coarse"}]})
    choose(page, file(photo_png))
    verdict(page)

    low = page.evaluate("""() => [...document.querySelectorAll("button, select, summary, input[type=range]")]
        .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 43.5)
        .map((each) => each.outerHTML.slice(0, 90))""")
    assert low == []
