from __future__ import annotations

import pytest

from tamperscope.evidence.metadata.marks import Kind, find
from tamperscope.evidence.metadata.reading import Entry, Metadata

A1111 = "a cat\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"


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
    ],
)
def test_other_programs_are_recognised(value: str, program: str, kind: Kind) -> None:
    assert found("EXIF", "Software", value) == [(program, kind)]


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
        ("EXIF", "Model", "Leica M11"),
        ("EXIF", "ImageDescription", "A poster of Photoshop, by Midjourney"),
        ("XMP", "dc:description", "Imagen de la ciudad"),
        ("PNG text", "Comment", "Steps to the river"),
    ],
)
def test_cameras_and_captions_are_no_marks(group: str, name: str, value: str) -> None:
    marks = [mark for mark in found(group, name, value) if mark[1] is not Kind.EDITOR or value != "Google"]

    assert marks == []


def test_a_program_that_is_named_twice_is_found_once() -> None:
    entries = Entry("EXIF", "Software", "GIMP 2.10"), Entry("XMP", "xmp:CreatorTool", "GIMP 2.10")

    assert len(find(Metadata(entries))) == 1
