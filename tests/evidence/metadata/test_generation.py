from __future__ import annotations

import json

import pytest

from tamperscope.evidence.metadata.generation import Generation, generation
from tamperscope.evidence.metadata.reading import Entry, Metadata


def stated(name: str, value: str, group: str = "PNG text") -> Generation:
    return generation(Metadata((Entry(group, name, value),)))


def test_parameters_of_stable_diffusion() -> None:
    text = "a cat, masterpiece\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 42, Model: v1-5"

    assert stated("parameters", text) == Generation("a cat, masterpiece", "42", "v1-5")
    assert stated("UserComment", text, "EXIF") == Generation("a cat, masterpiece", "42", "v1-5")


def test_a_prompt_without_a_negative_one() -> None:
    assert stated("parameters", "a dog\nSteps: 5, Sampler: Euler").prompt == "a dog"


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        (
            "prompt",
            {
                "3": {"class_type": "KSampler", "inputs": {"seed": 7}},
                "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
                "4": {"inputs": {"ckpt_name": "sdxl.safetensors"}},
            },
            Generation("a cat", "7", "sdxl.safetensors"),
        ),
        (
            "invokeai_metadata",
            {"positive_prompt": "a cat", "seed": 7, "model": {"name": "sdxl"}},
            Generation("a cat", "7", "sdxl"),
        ),
        ("Comment", {"prompt": "a cat", "seed": 7}, Generation("a cat", "7")),
        ("parameters", {"sui_image_params": {"prompt": "a cat", "seed": 7}}, Generation("a cat", "7")),
    ],
)
def test_documents_of_other_generators(name: str, document: object, expected: Generation) -> None:
    assert stated(name, json.dumps(document)) == expected


def test_a_prompt_of_midjourney() -> None:
    assert stated("Description", "a cat --v 6 Job ID: 4b5b0b8e-0000").prompt == "a cat --v 6"


@pytest.mark.parametrize(
    "value", ["{", "{" * 100_000, "[1]", "Job ID", json.dumps({"prompt": 1, "seed": [1]})]
)
def test_other_texts_state_nothing(value: str) -> None:
    assert stated("prompt", value) == Generation()
