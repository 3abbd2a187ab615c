from __future__ import annotations

import base64
import json

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from PIL.ExifTags import IFD, Base

import samples
from tamperscope.evidence import metadata
from tamperscope.images import read_image
from tamperscope.report import Evidence


def exif(main: dict[int, str] | None = None, capture: dict[int, object] | None = None) -> PIL.Image.Exif:
    block = PIL.Image.Exif()
    block.update(main or {})
    if capture:
        block.get_ifd(IFD.Exif).update(capture)
    return block


def measured(picture: np.ndarray | None = None, image_format: str = "JPEG", **options: object) -> Evidence:
    picture = samples.photo(120, 80) if picture is None else picture
    return metadata.measure(read_image(samples.encode(picture, image_format, **options)))


def test_a_file_without_metadata_says_so() -> None:
    evidence = measured()
    assert not evidence.applicable
    assert evidence.finding.startswith("The file carries no metadata")


def test_an_array_has_no_metadata() -> None:
    assert not metadata.measure(read_image(samples.photo())).applicable


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_editor_is_named_but_not_notable(image_format: str) -> None:
    evidence = measured(image_format=image_format, exif=exif({Base.Software: "GIMP 2.10"}))
    assert "Saved by the image editor GIMP 2.10." in evidence.finding
    assert evidence.strength
    assert not evidence.notable


def test_camera_metadata_does_not_count_against_the_picture() -> None:
    evidence = measured(
        exif=exif({Base.Make: "Canon", Base.Model: "Canon EOS R5", Base.Software: "Firmware 1.1"})
    )
    assert evidence.finding == "Taken with Canon EOS R5."
    assert evidence.strength == 0


def test_a_generator_named_in_xmp_is_notable() -> None:
    xmp = b'<x:xmpmeta><rdf:Description xmp:CreatorTool="Adobe Firefly 3"/></x:xmpmeta>'
    evidence = measured(xmp=xmp)
    assert evidence.notable
    assert "image generator Adobe Firefly 3" in evidence.finding


def test_a_declared_generated_picture_is_notable() -> None:
    source = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    evidence = measured(xmp=b"<x:xmpmeta>" + source + b"</x:xmpmeta>")
    assert evidence.notable
    assert "made by a generator (AI)" in evidence.finding


def test_a_preview_of_another_picture_is_notable() -> None:
    evidence = metadata.measure(read_image(samples.with_preview(samples.photo(60, 40, seed=1))))
    assert evidence.notable
    assert "preview in EXIF shows another picture" in evidence.finding


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_preview_of_the_picture_itself_is_not_notable(orientation: int) -> None:
    image = read_image(samples.with_preview(samples.photo(60, 40), orientation))
    assert not metadata.measure(image).notable
    found = metadata.preview(image)
    assert found is not None
    assert found.pixels.shape[:2] == ((40, 60) if orientation < 5 else (60, 40))


def test_black_bars_of_a_preview_do_not_matter() -> None:
    barred = np.zeros((45, 60, 3), np.uint8)
    barred[2:42] = samples.photo(60, 40)
    assert not metadata.measure(read_image(samples.with_preview(barred))).notable


def test_a_cropped_preview_does_not_matter() -> None:
    cut = np.ascontiguousarray(samples.photo(60, 40)[:, 4:56])
    assert not metadata.measure(read_image(samples.with_preview(cut))).notable


def test_what_the_preview_still_shows_is_marked_in_the_picture() -> None:
    picture = samples.scene(480, 320)
    small = np.asarray(PIL.Image.fromarray(picture).resize((96, 64), PIL.Image.Resampling.BICUBIC))
    picture[100:160, 200:260] = 190
    evidence = metadata.measure(read_image(samples.with_preview(small, picture=picture)))
    assert evidence.notable
    assert "preview in EXIF shows something else in" in evidence.finding
    assert evidence.map is not None
    assert evidence.map[110:150, 210:250].mean() > 0.9
    assert evidence.map[:80].max() == 0


def test_the_details_hold_the_preview_and_its_size() -> None:
    told = metadata.measure(read_image(samples.with_preview(samples.photo(60, 40)))).details["preview"]
    assert (told["width"], told["height"], told["differs"]) == (60, 40, False)
    png = base64.b64decode(told["picture"].removeprefix("data:image/png;base64,"))
    assert samples.decode(png).shape == (40, 60, 3)


def test_a_decompression_bomb_is_not_read_as_a_preview() -> None:
    assert metadata.preview(read_image(samples.with_preview(np.zeros((2000, 1600, 3), np.uint8)))) is None


def test_the_fields_can_be_shown_as_a_table() -> None:
    details = measured(
        exif=exif({Base.Make: "Canon", Base.Software: "GIMP 2.10"}, {Base.ISOSpeedRatings: 200})
    ).details
    fields = {field["name"]: field["value"] for field in json.loads(json.dumps(details))["fields"]}
    assert fields == {"Program": "GIMP 2.10", "Camera maker": "Canon", "ISO": "200"}


def test_a_size_that_differs_from_the_recorded_one_is_reported() -> None:
    recorded = {Base.ExifImageWidth: 4000, Base.ExifImageHeight: 3000}
    assert "Recorded as 4000 x 3000 pixels, but has 120 x 80" in measured(exif=exif(capture=recorded)).finding
    turned = {Base.ExifImageWidth: 80, Base.ExifImageHeight: 120}
    assert "Recorded" not in measured(exif=exif(capture=turned)).finding


@pytest.mark.parametrize("side", [0, "000", "9" * 5000])
def test_a_recorded_size_that_is_not_one_is_passed_over(side: int | str) -> None:
    recorded = {Base.ExifImageWidth: side, Base.ExifImageHeight: side}
    assert "Recorded" not in measured(exif=exif(capture=recorded)).finding


def test_dates_are_compared() -> None:
    taken = {Base.DateTimeOriginal: "2024:05:01 10:00:00"}
    later = measured(exif=exif({Base.DateTime: "2024:05:02 10:00:00"}, taken))
    before = measured(exif=exif({Base.DateTime: "2024:04:30 10:00:00"}, taken))
    assert "Taken 2024-05-01 10:00:00, changed 2024-05-02 10:00:00." in later.finding
    assert "but last changed earlier" in before.finding
    assert later.strength is not None
    assert before.strength is not None
    assert later.strength < before.strength


def test_a_position_is_mentioned_but_not_disclosed() -> None:
    block = exif({Base.Make: "Canon"})
    block.get_ifd(IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    evidence = measured(exif=block)
    assert "A GPS position is present." in evidence.finding
    assert evidence.details["located"]
    assert "48" not in json.dumps(evidence.record.to_json())


def test_location_returns_the_coordinates_and_a_map() -> None:
    block = exif({Base.Make: "Canon"})
    block.get_ifd(IFD.GPSInfo).update({1: "S", 2: (48.0, 30.0, 0.0), 3: "E", 4: (2.0, 15.0, 36.0)})
    picture = samples.photo(120, 80)
    found = metadata.location(read_image(samples.encode(picture, exif=block)))
    assert found is not None
    assert (found.latitude, found.longitude) == (-48.5, 2.26)
    assert "mlat=-48.5&mlon=2.26" in found.map
    assert metadata.location(read_image(samples.encode(picture))) is None


def test_a_gps_block_of_a_version_alone_is_no_position() -> None:
    block = exif({Base.Make: "Canon"})
    block.get_ifd(IFD.GPSInfo).update({0: b"\2\2\0\0"})
    evidence = measured(exif=block)
    assert "A GPS block is present, but without a position" in evidence.finding
    assert "A GPS position is present." not in evidence.finding
    assert evidence.strength == 0
    assert not evidence.details["located"]


@pytest.mark.parametrize(
    ("day", "told"), [("2020:05:01", True), ("2024:05:02", False), ("0000:00:00", False)]
)
def test_the_date_of_the_satellites_is_compared(day: str, told: bool) -> None:
    block = exif({Base.Make: "Canon"}, {Base.DateTimeOriginal: "2024:05:01 10:00:00"})
    block.get_ifd(IFD.GPSInfo).update({29: day})
    assert ("the date of the satellites is 2020-05-01" in measured(exif=block).finding) is told


def test_the_complete_list_leaves_out_every_position() -> None:
    xmp = (
        b'<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        b'exif:GPSLatitude="48,51.5N" photoshop:City="Paris" photoshop:Credit="Agency"/>'
    )
    entries = measured(xmp=xmp).details["entries"]
    assert [entry["name"] for entry in entries if entry["group"] == "XMP"] == ["photoshop:Credit"]


def test_a_prompt_in_the_field_of_the_maker_is_not_a_camera() -> None:
    evidence = measured(exif=exif({Base.Make: 'prompt:{"3": {"class_type": "KSampler"}}'}))
    assert "Taken with" not in evidence.finding
    assert "image generator ComfyUI" in evidence.finding


def test_the_prompt_is_quoted_as_what_the_file_says() -> None:
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("parameters", "a <b>cat</b>\nSteps: 20, Sampler: Euler a, Seed: 7")
    evidence = measured(image_format="PNG", pnginfo=text)
    assert "as the file says: “a <b>cat</b>”. Seed 7." in evidence.finding


def test_a_prompt_is_told_once_however_often_the_generator_is_named() -> None:
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Description", "a cat --ar 1:1 --v 6.0 Job ID: 8a5b6f0e-1111-4222-8333-944455556666")
    text.add_text("Software", "Midjourney")
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    text.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{source}</x:xmpmeta>")

    finding = measured(image_format="PNG", pnginfo=text).finding

    assert "made by a generator (AI)" in finding
    assert "image generator Midjourney" in finding
    assert finding.count("a cat --ar 1:1") == 1


def test_a_list_of_metadata_is_bounded() -> None:
    text = PIL.PngImagePlugin.PngInfo()
    for number in range(2000):
        text.add_text(f"key {number}", "x" * 2000)
    details = measured(image_format="PNG", pnginfo=text).details
    assert len(json.dumps(details)) < 500_000


@pytest.mark.parametrize("block", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 200])
def test_exif_that_cannot_be_read_is_told(block: bytes) -> None:
    evidence = measured(exif=block)
    assert evidence.finding == (
        "A block of metadata is there that says nothing (EXIF): it is empty, or cannot be read."
    )
    assert evidence.strength == 0


@pytest.mark.parametrize("packet", [b"\xff" * 90, b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"])
def test_xmp_that_says_nothing_is_told(packet: bytes) -> None:
    assert "that says nothing (XMP)" in measured(xmp=packet).finding


def test_quoted_text_is_printable_and_short() -> None:
    finding = measured(exif=exif({Base.Software: "GIMP \x1b[2J\n" + 1000 * "x"})).finding
    assert finding.isprintable()
    assert len(finding) < 200


def test_endless_metadata_is_listed_to_a_limit_and_hides_no_editor() -> None:
    names = [f"program {number}" for number in range(500)] + ["GIMP 2.10"]
    xmp = "".join(f"<xmp:CreatorTool>{name}</xmp:CreatorTool>" for name in names).encode()

    evidence = measured(image_format="WEBP", xmp=xmp)

    programs = [field["value"] for field in evidence.details["fields"] if field["name"] == "Program"]
    assert (programs[:2], len(programs)) == (["GIMP 2.10", "program 0"], 10)
    assert "GIMP 2.10" in evidence.finding
