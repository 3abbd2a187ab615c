from __future__ import annotations

import pytest

from tamperscope.evidence.metadata.marks import Kind, find, platform_of_size
from tamperscope.evidence.metadata.origin_claims import claims
from tamperscope.evidence.metadata.reading import Entry, Metadata

A1111 = "a cat\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
AIGC = '{"Label":"1","ContentProducer":"Acme","ProduceID":"7","ReservedCode1":""}'

BYTEDANCE = '{"data":{"os":"android","product":"retouch","filterId":""},"source_type":"hypic"}'
GD = "a website's library (GD, ImageMagick or another)"


def found(group: str, name: str, value: str) -> list[tuple[str, Kind]]:
    return [(mark.program, mark.kind) for mark in find(Metadata((Entry(group, name, value),)))]


@pytest.mark.parametrize(
    ("group", "name", "value", "program"),
    [
        ("PNG text", "parameters", A1111, "Stable Diffusion (AUTOMATIC1111 or Forge)"),
        ("EXIF", "UserComment", A1111, "Stable Diffusion (AUTOMATIC1111 or Forge)"),
        ("PNG text", "prompt", '{"3": {"class_type": "KSampler"}}', "ComfyUI"),
        ("PNG text", "workflow", '{"last_node_id": 9, "nodes": []}', "ComfyUI"),
        ("EXIF", "Make", 'workflow:{"nodes": []}', "ComfyUI"),
        ("PNG text", "invokeai_metadata", "{}", "InvokeAI"),
        ("PNG text", "Dream", '"a cat" -s50 -S1', "InvokeAI"),
        ("PNG text", "Software", "NovelAI", "NovelAI"),
        ("EXIF", "Software", "Fooocus v2.5.5", "Fooocus"),
        ("PNG text", "Description", "a cat --v 6 Job ID: 4b5b0b8e-0000-0000", "Midjourney"),
        ("EXIF", "Software", "DALL·E 3", "DALL·E"),
        ("EXIF", "Software", "DALL-E 2", "DALL·E"),
        ("XMP", "xmp:CreatorTool", "Adobe Firefly 3", "Adobe Firefly"),
        ("XMP", "photoshop:Credit", "Made with Google AI", "Google AI"),
        ("EXIF", "Software", "Imagen", "Google AI"),
        ("EXIF", "ImageDescription", "Signature: " + "Ab+/" * 20, "Grok (xAI)"),
        ("XMP", "Iptc4xmpExt:AISystemUsed", "Leonardo.Ai", "Leonardo.Ai"),
        ("EXIF", "Software", "Flux", "Flux"),
        ("EXIF", "Software", "FLUX.1 [dev]", "Flux"),
        (
            "PNG text",
            "parameters",
            A1111 + ", Version: f2.0.1v1.10.1",
            "Stable Diffusion (AUTOMATIC1111 or Forge)",
        ),
        ("PNG text", "sd-metadata", '{"app_id": "invoke-ai/InvokeAI"}', "InvokeAI"),
        ("PNG text", "fooocus_scheme", "fooocus", "Fooocus"),
        ("EXIF", "Software", "ChatGPT", "ChatGPT"),
        ("XMP", "xmp:CreatorTool", "OpenAI gpt-image-1", "ChatGPT"),
        ("IPTC", "Credit", "Made with Google AI", "Google AI"),
        ("EXIF", "Software", "Microsoft Designer", "Microsoft Designer or Bing Image Creator"),
        ("XMP", "xmp:CreatorTool", "Bing Image Creator", "Microsoft Designer or Bing Image Creator"),
        ("EXIF", "Software", "Ideogram AI", "Ideogram"),
        ("EXIF", "Software", "Stability AI", "Stable Diffusion"),
        ("XMP", "xmp:CreatorTool", "Recraft V3", "Recraft"),
        ("EXIF", "ImageDescription", A1111, "Stable Diffusion (AUTOMATIC1111 or Forge)"),
        ("XMP", "Iptc4xmpExt:AISystemUsed", "Acme Imagery 3", "an image generator of another name"),
        ("XMP", "TC260:AIGC", AIGC, "an image generator (China's AIGC label)"),
        ("PNG text", "AIGC", AIGC, "an image generator (China's AIGC label)"),
        ("EXIF", "UserComment", f'{{"AIGC": {AIGC}}}', "an image generator (China's AIGC label)"),
        (
            "XMP",
            "TC260:AIGC",
            AIGC.replace('"1"', '"3"'),
            "an image generator, as a user or a platform suspects (China's AIGC label)",
        ),
    ],
)
def test_generators_are_recognised(group: str, name: str, value: str, program: str) -> None:
    assert found(group, name, value) == [(program, Kind.GENERATOR)]


@pytest.mark.parametrize(
    ("value", "program", "kind"),
    [
        ("Adobe Photoshop Lightroom Classic 13.0", "Adobe Lightroom", Kind.EDITOR),
        ("Adobe Photoshop 25.0 (Windows)", "Adobe Photoshop", Kind.EDITOR),
        ("Snapseed 2.0", "Snapseed", Kind.EDITOR),
        ("PicsArt", "PicsArt", Kind.EDITOR),
        ("paint.net 5.0", "Paint.NET", Kind.EDITOR),
        ("Google", "Google Photos", Kind.EDITOR),
        ("Remini", "Remini", Kind.AI_EDITOR),
        ("Microsoft Windows Photo Viewer 10", "Windows Photo Viewer", Kind.VIEWER),
        ("gnome-screenshot", "a screenshot tool", Kind.SCREENSHOT),
        ("Android UP1A.231005.007 screenshot", "a screenshot tool", Kind.SCREENSHOT),
        ("Greenshot", "a screenshot tool", Kind.SCREENSHOT),
        ("Snipping Tool", "a screenshot tool", Kind.SCREENSHOT),
        ("Edited with Google AI", "Google AI (editing)", Kind.AI_EDITOR),
        ("Magic Editor", "Google AI (editing)", Kind.AI_EDITOR),
        ("FaceApp", "FaceApp", Kind.AI_EDITOR),
        ("Topaz Photo AI 3.0.2", "Topaz", Kind.EDITOR),
        ("Meitu", "Meitu or BeautyPlus", Kind.EDITOR),
        ("VSCO", "VSCO", Kind.EDITOR),
        ("Krita 5.2.2", "Krita", Kind.EDITOR),
        ("Photomator 3.3.1", "Photomator or Pixelmator", Kind.EDITOR),
        ("ACD Systems Digital Imaging", "ACDSee", Kind.EDITOR),
        ("ACDSee Ultimate 2024", "ACDSee", Kind.EDITOR),
        ("Picasa 3.0", "Picasa", Kind.EDITOR),
        ("Canva", "Canva", Kind.EDITOR),
        ("Capture NX 1.0.0 M", "a raw converter of a camera's maker", Kind.EDITOR),
        ("Nikon Transfer 1.1 W", "a transfer program of a camera's maker", Kind.VIEWER),
        ("Macromedia Fireworks MX", "Adobe or Macromedia (another program)", Kind.EDITOR),
        ("Instagram", "Instagram", Kind.PLATFORM),
    ],
)
def test_other_programs_are_recognised(value: str, program: str, kind: Kind) -> None:
    assert found("EXIF", "Software", value) == [(program, kind)]


@pytest.mark.parametrize(
    ("group", "name", "value", "program"),
    [
        ("IPTC", "SpecialInstructions", "FBMD01000ac0030000d3240000", "Facebook or Instagram"),
        ("EXIF", "Software", "Snapchat", "a messenger or a social network"),
        ("JPEG comment", "Comment", "Lavc59.37.100", "ffmpeg"),
        ("JPEG", "Comment", "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90", GD),
        ("JPEG", "Comment", "Processed By eBay with ImageMagick, z1.1.0. ||B2", "eBay"),
    ],
)
def test_platforms_leave_traces(group: str, name: str, value: str, program: str) -> None:
    assert found(group, name, value) == [(program, Kind.PLATFORM)]


@pytest.mark.parametrize(
    ("group", "name", "value", "program"),
    [
        ("EXIF", "UserComment", BYTEDANCE, "an app of ByteDance (CapCut, Hypic, Douyin, TikTok)"),
        ("JPEG segment", "APP12", "Ducky", "Adobe Photoshop, ImageReady or Fireworks"),
    ],
)
def test_editors_leave_traces(group: str, name: str, value: str, program: str) -> None:
    assert found(group, name, value) == [(program, Kind.EDITOR)]


def test_a_mark_says_what_it_can_mean_and_cannot() -> None:
    trace = Metadata((Entry("IPTC", "SpecialInstructions", "FBMD01000ac0030000d3240000"),))

    (claim,) = claims(trace)

    assert claim.text == "Saved again by Facebook or Instagram."
    assert "it does not say who posted it" in claim.belief


def test_an_editor_without_a_name_of_its_own_is_called_as_the_file_calls_it() -> None:
    (claim,) = claims(Metadata((Entry("EXIF", "Software", "IrfanView 4.62"),)))

    assert claim.text == "Saved by another image editor (named “IrfanView 4.62”)."


@pytest.mark.parametrize(
    ("longer", "hint"),
    [(1280, "Telegram"), (1600, "WhatsApp, Signal"), (1000, "")],
)
def test_sizes_of_platforms_are_known(longer: int, hint: str) -> None:
    assert platform_of_size(longer) == hint


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("EXIF", "Software", "Ver.1.0"),
        ("EXIF", "Software", "17.4.1"),
        ("EXIF", "Software", "HDR+ 1.0.585804376zd"),
        ("EXIF", "Software", "E5700v1.0"),
        ("EXIF", "Software", "f.lux"),
        ("EXIF", "Software", "Windows 10"),
        ("EXIF", "Make", "Google"),
        ("EXIF", "Make", "Meitu"),
        ("EXIF", "Model", "Leica M11"),
        ("EXIF", "ImageDescription", "A poster of Photoshop, by Midjourney"),
        ("XMP", "dc:description", "Imagen de la ciudad"),
        ("IPTC", "Caption", "The founders of Stability AI and Leonardo.Ai, with Grok on the screen"),
        ("EXIF", "ImageDescription", "Made with Google AI, says the sign at the fair"),
        ("PNG text", "Description", "Ideogram, Recraft, Canva and ChatGPT: a comparison"),
        ("XMP", "dc:title", "Remini and FaceApp in the news; a Telegram, a WhatsApp message"),
        ("EXIF", "XPComment", "DALL-E and Firefly at the museum"),
        ("EXIF", "Artist", "Leonardo Grok"),
        ("EXIF", "Model", "Signal 35"),
        ("PNG text", "Comment", "Steps to the river"),
        ("EXIF", "UserComment", '{"Label": "1", "Shelf": "AIGC"}'),
        ("XMP", "TC260:AIGC", AIGC.replace('"1"', '"0"')),
    ],
)
def test_cameras_and_captions_are_no_marks(group: str, name: str, value: str) -> None:
    assert found(group, name, value) == []


def test_a_program_that_is_named_twice_is_found_once() -> None:
    entries = Entry("EXIF", "Software", "GIMP 2.10"), Entry("XMP", "xmp:CreatorTool", "GIMP 2.10")

    assert len(find(Metadata(entries))) == 1
