"""The tools for a closer look, which the browser draws from the picture."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import Page, expect

import samples

SIDE = 64


def pixels(page: Page, filter: str, values: dict[str, int], source: np.ndarray) -> np.ndarray:
    """Return what a filter draws of a picture, (height, width, 3) uint8 RGB."""
    height, width = source.shape[:2]
    opaque = np.dstack([source, np.full((height, width), 255, np.uint8)])
    drawn = page.evaluate(
        """async ([filter, values, width, height, bytes]) => {
            const {FILTERS} = await import("./page/filters.js");
            const source = new ImageData(Uint8ClampedArray.from(bytes), width, height);
            return [...(await FILTERS[filter].draw(source, values)).data];
        }""",
        [filter, values, width, height, opaque.ravel().tolist()],
    )
    return np.array(drawn, np.uint8).reshape(height, width, 4)[..., :3]


@pytest.fixture
def ramp() -> np.ndarray:
    """Return a picture whose red rises to the right, green downwards, and whose blue is constant."""
    steps = np.arange(0, 256, 4, dtype=np.uint8)
    return np.dstack(
        [np.tile(steps, (SIDE, 1)), np.tile(steps[:, None], (1, SIDE)), np.full((SIDE, SIDE), 7)]
    )


class TestFilters:
    def test_bit_planes_show_one_bit(self, visit, ramp):
        page = visit()

        drawn = pixels(page, "bits", {"channel": 1, "bit": 5}, ramp)

        assert (drawn[..., 0] == np.where(ramp[..., 0] >> 5 & 1, 255, 0)).all()
        assert (pixels(page, "bits", {"channel": 3, "bit": 3}, ramp) == 0).all()

    def test_the_level_sweep_stretches_a_few_levels(self, visit, ramp):
        drawn = pixels(visit(), "sweep", {"level": 128, "width": 16}, ramp)[0, :, 0]

        assert (drawn[:29] == 0).all()
        assert (drawn[36:] == 255).all()
        assert (np.diff(drawn[30:34].astype(int)) > 40).all()

    def test_noise_is_what_a_median_takes_away(self, visit):
        flat = np.full((16, 16, 3), 100, np.uint8)
        flat[8, 8] = 105

        drawn = pixels(visit(), "noise", {"gain": 20}, flat)

        assert drawn[8, 8, 0] == pytest.approx(100, abs=1)
        drawn[8, 8] = 0
        assert (drawn == 0).all()

    def test_the_gradient_has_its_direction(self, visit, ramp):
        middle = pixels(visit(), "gradient", {"gain": 4}, ramp)[SIDE // 2, SIDE // 2]

        assert middle[0] == pytest.approx(127.5 + 4 * 8 * 0.299, abs=1)
        assert middle[1] == pytest.approx(127.5 + 4 * 8 * 0.587, abs=1)

    def test_principal_components_find_the_axes_of_the_colours(self, visit):
        generator = np.random.default_rng(5)
        along, across = generator.normal(0, 30, (SIDE, SIDE)), generator.normal(0, 5, (SIDE, SIDE))
        colours = 128 + along[..., None] * [0.6, 0.8, 0] + across[..., None] * [0.8, -0.6, 0]
        page = visit()

        first, second = (
            pixels(page, "components", {"component": number}, np.clip(colours, 0, 255).astype(np.uint8))
            for number in (0, 1)
        )

        assert abs(np.corrcoef(first[..., 0].ravel(), along.ravel())[0, 1]) > 0.99
        assert abs(np.corrcoef(second[..., 0].ravel(), across.ravel())[0, 1]) > 0.98

    def test_the_error_level_is_low_where_jpeg_has_been_before(self, visit):
        photo = np.random.default_rng(3).integers(60, 200, (96, 96, 3), np.uint8)
        file = BytesIO()
        PIL.Image.fromarray(photo).save(file, "JPEG", quality=60)
        saved = np.asarray(PIL.Image.open(file).convert("RGB"))
        mixed = photo.copy()
        mixed[:, :48] = saved[:, :48]

        drawn = pixels(visit(), "ela", {"quality": 60, "gain": 10}, mixed)

        assert drawn[:, :40].mean() < 0.6 * drawn[:, 56:].mean()


def opened(page: Page, data: bytes, media_type: str = "image/png") -> None:
    page.set_input_files("#files", [{"name": "a", "mimeType": media_type, "buffer": data}])
    expect(page.locator(".stage[data-ready]")).to_be_visible()
    page.get_by_text("Look closer").click()


def test_a_filter_is_shown_over_the_picture_and_taken_away(visit, photo_png):
    page = visit()
    opened(page, photo_png)
    page.get_by_label("Filter").select_option("sweep")

    expect(page.get_by_label("Layer")).to_have_value("drawn")
    expect(page.locator("#layer option:checked")).to_have_text("Tool: Level sweep")
    page.locator("#tool-level").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("output[for=tool-level]")).to_have_text("129")
    page.get_by_label("Filter").select_option("None")
    expect(page.get_by_label("Layer")).to_have_value("regions")


def altered(scene: np.ndarray) -> np.ndarray:
    """Return a picture with a white box in it, from (160, 120) to (240, 180)."""
    other = scene.copy()
    other[120:180, 160:240] = 255
    return other


@pytest.mark.parametrize(("image_format", "kind"), [("PNG", "image/png"), ("HEIF", "image/heic")])
def test_another_picture_is_laid_over_this_one_and_its_differences_marked(visit, image_format, kind):
    scene = samples.scene(400, 300)
    page = visit()
    opened(page, samples.encode(scene, "PNG"))
    page.get_by_label("Filter").select_option("Another picture")
    # Smaller, cropped and turned.
    other = PIL.Image.fromarray(altered(scene)).crop((20, 10, 400, 300)).rotate(90, expand=True)
    other = other.resize((other.width * 4 // 5, other.height * 4 // 5))
    file = {"name": "b", "mimeType": kind, "buffer": samples.encode(other, image_format)}
    page.get_by_label("Other picture").set_input_files([file])

    expect(page.locator("#layer option:checked")).to_have_text("Tool: Another picture")
    expect(page.locator(".filter [role=status]")).to_contain_text("1 region differs: in the centre.")
    page.get_by_label("Comparison").select_option("Show the difference")
    expect(page.locator("#layer option:checked")).to_have_text("Tool: Difference to another picture")
    page.get_by_role("button", name="D1: centre").click()
    page.get_by_label("Layer").select_option("regions")
    expect(page.locator("#layer option:checked")).to_have_text("Marked regions")
    page.get_by_role("button", name="D1: centre").click()
    expect(page.locator("#layer option:checked")).to_have_text("Tool: Difference to another picture")


def test_the_other_picture_is_drawn_in_the_frame_of_this_one(visit):
    scene = samples.scene(400, 300)
    files = [samples.encode(each, "PNG") for each in (scene, altered(scene)[:, 40:])]

    laid = visit().evaluate(
        """async (files) => {
            const { laidOver } = await import("./page/versions.js");
            const bytes = (file) => Uint8Array.from(atob(file), (c) => c.charCodeAt());
            const [first, second] = files.map((file) => new Blob([bytes(file)]));
            const { picture } = await laidOver(first, { width: 400, height: 300 }, second);
            return [...picture.getContext("2d").getImageData(0, 0, 400, 300).data];
        }""",
        [b64encode(file).decode() for file in files],
    )

    *colours, alpha = np.array(laid, np.uint8).reshape(300, 400, 4).transpose(2, 0, 1)
    shared = np.stack(colours, axis=-1)[5:-5, 45:-5].astype(int)
    assert np.abs(shared - altered(scene)[5:-5, 45:-5]).mean() < 2
    assert (alpha[:, :38] == 0).all()
    assert (alpha[5:-5, 45:-5] == 255).all()


def test_the_difference_is_black_where_the_other_picture_shows_nothing(visit):
    drawn = visit().evaluate(
        """async () => {
            const { difference } = await import("./page/filters.js");
            const [one, other] = [[9, 9, 9, 255, 9, 9, 9, 255], [0, 0, 0, 0, 4, 9, 9, 255]];
            const image = (values) => new ImageData(Uint8ClampedArray.from(values), 2, 1);
            return [...(await difference(image(one), image(other), 10)).data];
        }"""
    )

    assert drawn == [0, 0, 0, 255, 50, 0, 0, 255]


def test_a_picture_of_another_scene_is_told(visit, photo_png):
    page = visit()
    opened(page, photo_png)
    page.get_by_label("Filter").select_option("Another picture")
    other = samples.encode(samples.scene(200, 160), "PNG")
    file = {"name": "b.png", "mimeType": "image/png", "buffer": other}
    page.get_by_label("Other picture").set_input_files([file])

    expect(page.locator(".filter [role=status]")).to_contain_text("could not be laid over each other")


def test_the_loupe_follows_the_pointer_and_the_keyboard(visit, photo_png):
    page = visit()
    opened(page, photo_png)
    loupe = "document.querySelector('.loupe canvas').toDataURL()"
    page.locator(".screen canvas").hover(position={"x": 100, "y": 100})
    first = page.evaluate(loupe)
    page.locator(".screen canvas").hover(position={"x": 200, "y": 160})
    second = page.evaluate(loupe)
    page.locator(".screen canvas").focus()
    page.keyboard.press("+")
    third = page.evaluate(loupe)

    assert len({first, second, third}) == 3


def test_the_structure_of_a_jpeg_is_listed(visit):
    page = visit()
    opened(page, samples.encode(samples.photo(160, 120)) + b"appended", "image/jpeg")
    page.get_by_text("Structure of the JPEG file").first.click()

    parts = page.locator(".structure tbody")
    for text in (
        "Quantisation tables",
        "baseline, 160 × 120",
        "Scan",
        "after the end of the image, 8 bytes",
    ):
        expect(parts).to_contain_text(text)
