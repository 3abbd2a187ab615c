"""Two analyses side by side."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

import samples


@pytest.mark.parametrize(("image_format", "kind"), [("PNG", "image/png"), ("HEIF", "image/heic")])
def test_the_pictures_are_laid_over_each_other(visit, image_format, kind):
    scene = samples.scene(400, 300)
    altered = scene.copy()
    altered[120:180, 160:240] = (250, 20, 20)
    page = visit()
    for data, media_type in (
        (samples.encode(altered[:, 40:], image_format), kind),
        (samples.encode(scene, "PNG"), "image/png"),
    ):
        page.evaluate("location.hash = '#/'")
        expect(page.locator(".stage[data-ready]")).to_be_hidden()
        page.set_input_files("#files", [{"name": "a", "mimeType": media_type, "buffer": data}])
        expect(page.locator(".stage[data-ready]")).to_be_visible()
    page.get_by_text("Another analysis").click()
    page.get_by_role("button", name="Show side by side").click()
    comparison = page.locator(".comparison[data-ready]")

    expect(comparison).to_contain_text("1 region differs: in the centre.")
    expect(page.get_by_role("button", name="D1: centre")).to_be_visible()
    reds = page.evaluate(
        """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(
            [...document.querySelectorAll(".sides canvas")].map((canvas) => {
                const { width, height } = canvas;
                return [...canvas.getContext("2d").getImageData(width / 2, height / 2, 1, 1).data];
            })))))"""
    )
    assert np.array(reds[1][:3]) == pytest.approx([250, 20, 20], abs=30)
    assert np.ptp(reds[0][:3]) < 60
