"""Draw `page.jpg` and `page-more.jpg`: the web page with its sample, analysed by the default model.

Needs Chromium (Debian's package `chromium`) and the extra `dev`.
"""

import shutil
import tempfile
from io import BytesIO
from pathlib import Path

import PIL.Image
from playwright.sync_api import Browser, Page, sync_playwright

from tamperscope.server import serve
from tamperscope.settings import Settings

FOLDER = Path(__file__).parent
DESK, PHONE = {"width": 1280, "height": 960}, {"width": 390, "height": 960}
GAP = 24


def main() -> None:
    """Write both pictures next to this file."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = serve.start(Settings(port=0, database=f"sqlite:///{folder}/analyses.db"))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            result = _result(browser, server.url, "light")
            start = _shot(_opened(browser, server.url, "light", PHONE))
            dark = _result(browser, server.url, "dark", evidence=True)
            phone = _result(browser, server.url, "dark", PHONE)
        finally:
            browser.close()
            server.stop()
    result.save(FOLDER / "page.jpg", quality=84, optimize=True)
    _beside(start, dark, phone).save(FOLDER / "page-more.jpg", quality=82, optimize=True)


def _opened(browser: Browser, url: str, scheme: str, size: dict[str, int] = DESK) -> Page:
    page = browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    page.wait_for_load_state("networkidle")
    return page


def _result(
    browser: Browser, url: str, scheme: str, size: dict[str, int] = DESK, *, evidence: bool = False
) -> PIL.Image.Image:
    page = _opened(browser, url, scheme, size)
    page.click("#sample")
    page.wait_for_selector(".stage[data-ready]", timeout=120_000)
    page.wait_for_load_state("networkidle")
    if evidence:
        page.get_by_role("tab", name="JPEG ghosts").click()
        page.wait_for_load_state("networkidle")
        page.evaluate("document.querySelector('.evidence').scrollIntoView()")
    return _shot(page)


def _shot(page: Page) -> PIL.Image.Image:
    page.mouse.move(0, 0)
    # Wait for the first frame after the last change.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return PIL.Image.open(BytesIO(page.screenshot())).convert("RGB")


def _beside(*pictures: PIL.Image.Image) -> PIL.Image.Image:
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) + 1)
    sheet = PIL.Image.new("RGB", (width, pictures[0].height + 2 * GAP), (208, 213, 220))
    left = GAP
    for picture in pictures:
        sheet.paste(picture, (left, GAP))
        left += picture.width + GAP
    return sheet.resize((sheet.width * 3 // 4, sheet.height * 3 // 4), PIL.Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
