"""What the metadata of a file claims about its origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tamperscope.evidence._quoting import quoted
from tamperscope.evidence.metadata.generation import Generation, generation
from tamperscope.evidence.metadata.marks import Kind, Mark, find, names_program
from tamperscope.evidence.metadata.reading import Metadata
from tamperscope.evidence.source_types import SourceType, source_type
from tamperscope.origin import Basis, Claim, OriginKind

_STRENGTHS = {
    OriginKind.GENERATED: 0.9,
    OriginKind.AI_EDITED: 0.8,
    OriginKind.COMPOSITED: 0.7,
    OriginKind.DRAWN: 0.6,
    OriginKind.SCREENSHOT: 0.4,
    OriginKind.EDITED: 0.4,
    OriginKind.RESAVED: 0.1,
    OriginKind.CAPTURED: 0.0,
}
"""Honest pictures pass through editors too often for an editor's name alone to be notable."""
_BELIEFS = {
    OriginKind.GENERATED: "Anyone can write this, but hardly anyone declares a real photo as generated.",
    OriginKind.AI_EDITED: "Anyone can write this, but hardly anyone declares an untouched photo as changed.",
    OriginKind.COMPOSITED: "Anyone can write this, but hardly anyone declares a single photo as composed.",
    OriginKind.DRAWN: "Anyone can write this, but hardly anyone declares a photo as drawn.",
    OriginKind.SCREENSHOT: "Anyone can write this. A screenshot says nothing about what the screen showed.",
    OriginKind.EDITED: "Editors write their name after every change, cropping and brightening included.",
    OriginKind.RESAVED: "The picture inside may be authentic or not; traces of earlier changes are weakened.",
    OriginKind.CAPTURED: "Anyone can write this, and it stays in the file when the picture is changed.",
}
_KINDS = {
    Kind.GENERATOR: OriginKind.GENERATED,
    Kind.AI_EDITOR: OriginKind.AI_EDITED,
    Kind.EDITOR: OriginKind.EDITED,
    Kind.SCREENSHOT: OriginKind.SCREENSHOT,
    Kind.VIEWER: OriginKind.RESAVED,
    Kind.PLATFORM: OriginKind.RESAVED,
}
_LONGEST_PROMPT = 600


def claims(metadata: Metadata) -> Iterator[Claim]:
    """Yield what the metadata claims: declared source types, programs, and the device."""
    marks = find(metadata)
    prompt = generation(metadata) if any(mark.kind is Kind.GENERATOR for mark in marks) else Generation()
    for kind in dict.fromkeys(filter(None, map(source_type, metadata.values("XMP", "DigitalSourceType")))):
        yield _declared_type(kind, marks, prompt)
        # The prompt is told once, with the first claim that the picture was generated.
        prompt = Generation() if kind.kind is OriginKind.GENERATED else prompt
    for mark in marks:
        yield _marked(mark, prompt)
        prompt = Generation() if mark.kind is Kind.GENERATOR else prompt
    if device := _device(metadata, marks):
        yield _claim(OriginKind.CAPTURED, "EXIF Make and Model", f"Taken with {device}.", device)


def _declared_type(kind: SourceType, marks: tuple[Mark, ...], prompt: Generation) -> Claim:
    programs = [mark.program for mark in marks if _KINDS[mark.kind] is kind.kind]
    program = programs[0] if programs else ""
    made = f"{kind.words}, with {program}" if program else kind.words
    asked = _asked(prompt) if kind.kind is OriginKind.GENERATED else ""
    return _claim(kind.kind, "XMP DigitalSourceType", f"Declared as {made}." + asked, program)


def _marked(mark: Mark, prompt: Generation) -> Claim:
    entry = mark.entry
    program = _named(mark)
    generated = f"Made or changed with {program}."
    if mark.named:
        generated = f"Made or changed with the image generator {program}."
    sentences = {
        Kind.GENERATOR: generated,
        Kind.AI_EDITOR: f"Changed with {program}, which adds generated content.",
        Kind.EDITOR: f"Saved by the image editor {program}." if mark.named else f"Saved by {program}.",
        Kind.SCREENSHOT: f"Made with {program}.",
        Kind.VIEWER: f"Saved by {program}.",
        Kind.PLATFORM: f"Saved again by {program}.",
    }
    text = sentences[mark.kind] + (_asked(prompt) if mark.kind is Kind.GENERATOR else "")
    claim = _claim(_KINDS[mark.kind], f"{entry.group} {entry.name}"[:80], text, mark.program)
    return replace(claim, belief=mark.note) if mark.note else claim


def _named(mark: Mark) -> str:
    """Return the program as the file names it, with the usual name where that is another."""
    said = quoted(mark.entry.value)
    if not names_program(mark.entry) or "\n" in mark.entry.value or not said:
        return mark.program
    if not mark.named:
        return f"{mark.program} (named “{said}”)"
    return said if said.lower().startswith(mark.program.lower()) else f"{mark.program} (“{said}”)"


def _claim(kind: OriginKind, source: str, text: str, program: str) -> Claim:
    return Claim(kind, Basis.DECLARED, quoted(source), text, _BELIEFS[kind], program, _STRENGTHS[kind])


def _asked(prompt: Generation) -> str:
    """Return the prompt and the seed in words, as what the file says."""
    said, seed, model = quoted(prompt.prompt, _LONGEST_PROMPT), quoted(prompt.seed), quoted(prompt.model)
    sentences = (
        f"Its prompt, as the file says: “{said}”." if said else "",
        f"Seed {seed}." if seed else "",
        f"Model {model}." if model else "",
    )
    return "".join(f" {sentence}" for sentence in sentences if sentence)


def _device(metadata: Metadata, marks: tuple[Mark, ...]) -> str:
    """Return the camera, unless the fields that name it hold something else, such as a prompt."""
    if any(mark.entry.group == "EXIF" and mark.entry.name in ("Make", "Model") for mark in marks):
        return ""
    maker, model = (quoted(metadata.first("EXIF", name)) for name in ("Make", "Model"))
    if any(character in maker + model for character in "{}:\n"):
        return ""
    return model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
