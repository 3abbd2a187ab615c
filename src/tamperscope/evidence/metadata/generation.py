"""The prompt and the seed of a generated picture, as the generator wrote them into the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tamperscope.evidence.metadata import hidden_text
from tamperscope.evidence.metadata.reading import Metadata

_PLACES = {
    "PNG text": (
        "parameters",
        "prompt",
        "Description",
        "Comment",
        "Dream",
        "sd-metadata",
        "invokeai_metadata",
    ),
    hidden_text.GROUP: ("parameters", "Description", "Comment", "prompt"),
    "EXIF": ("UserComment", "ImageDescription"),
    "XMP": ("UserComment", "AIPromptInformation"),
}
_PROMPTS = ("prompt", "positive_prompt", "uc_prompt", "caption", "text", "c", "sui_prompt")
_SEEDS = ("seed", "noise_seed", "rand_seed")
_MODELS = ("model", "ckpt_name", "unet_name", "base_model", "model_name", "base_model_name")
_PARAMETERS = re.compile(r"^(?P<prompt>.*?)(?:\nNegative prompt:|\n?Steps: \d+, )", re.DOTALL)
_SEED = re.compile(r"\bSeed: (\d{1,20})|\s-S\s?(\d{1,20})\b")
_MODEL = re.compile(r"\bModel: ([^,\n]{1,100})")
_MIDJOURNEY = re.compile(r"^(.*?)Job ID: [0-9a-f-]{8}", re.DOTALL)
_MOST_VALUES = 5000


@dataclass(frozen=True)
class Generation:
    """How a picture was asked for; each text is empty where the file does not say. All is untrusted."""

    prompt: str = ""
    seed: str = ""
    model: str = ""


def generation(metadata: Metadata) -> Generation:
    """Return the prompt, seed and model that a generator's texts state."""
    found: dict[str, str] = {}
    for group, names in _PLACES.items():
        for name in names:
            for value in metadata.values(group, name):
                for key, text in _stated(value):
                    if text:
                        found.setdefault(key, text)
    return Generation(**found)


def _stated(text: str) -> Iterator[tuple[str, str]]:
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return
        yield from _in_document(document)
        return
    if prompt := _PARAMETERS.match(text) or _MIDJOURNEY.match(text):
        yield "prompt", prompt[1].strip()
    if seed := _SEED.search(text):
        yield "seed", seed[1] or seed[2]
    if model := _MODEL.search(text):
        yield "model", model[1].strip()


def _in_document(document: Any) -> Iterator[tuple[str, str]]:
    """Yield what a JSON text states, at any depth: generators nest it differently."""
    waiting = [document]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return
        value = waiting.pop(0)
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if isinstance(inner, Mapping) and key in _MODELS and isinstance(inner.get("name"), str):
                    yield "model", inner["name"]
                elif isinstance(inner, Mapping | list):
                    waiting.append(inner)
                elif key in _PROMPTS and isinstance(inner, str):
                    yield "prompt", inner.strip()
                elif key in _SEEDS and isinstance(inner, int | str):
                    yield "seed", str(inner)[:20]
                elif key in _MODELS and isinstance(inner, str):
                    yield "model", inner
        elif isinstance(value, list):
            waiting.extend(inner for inner in value if isinstance(inner, Mapping | list))
