from __future__ import annotations

import gzip
import json
import zlib

import numpy as np
import pytest

import samples
from tamperscope.evidence.metadata import hidden_text, read
from tamperscope.evidence.metadata.marks import find
from tamperscope.images import read_image

NOVELAI = {
    "Software": "NovelAI",
    "Description": "a cat",
    "Comment": json.dumps({"prompt": "a cat", "seed": 7}),
}
A1111 = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"


def hidden(name: bytes, content: bytes, size: tuple[int, int] = (97, 61), count: int | None = None) -> bytes:
    """Return a PNG of a size (height, width) that hides a text in its alpha channel or its colours."""
    bits = np.unpackbits(
        np.frombuffer(name + (8 * len(content) if count is None else count).to_bytes(4) + content, np.uint8)
    )
    photo = samples.photo(size[1], size[0])
    pixels = np.dstack([photo, np.full(size, 255, np.uint8)]) if b"png" in name else photo.copy()
    changed = pixels[:, :, 3:] if b"png" in name else pixels
    columns = np.ascontiguousarray(changed.transpose(1, 0, 2)).reshape(-1)
    columns[: len(bits)] = (columns[: len(bits)] & 254) | bits
    changed[:] = columns.reshape(size[1], size[0], -1).transpose(1, 0, 2)
    return samples.encode(pixels, "PNG")


def texts(data: bytes) -> list[tuple[str, str]]:
    return list(hidden_text.read(read_image(data)))


def test_what_novelai_hides_in_the_alpha_channel_is_read() -> None:
    data = hidden(b"stealth_pngcomp", gzip.compress(json.dumps(NOVELAI).encode()))

    assert texts(data) == list(NOVELAI.items())
    assert [mark.program for mark in find(read(read_image(data)))] == ["NovelAI"]


@pytest.mark.parametrize("place", ["png", "rgb"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_text_is_read_from_alpha_and_colours(place: str, compressed: bool) -> None:
    content = gzip.compress(A1111.encode()) if compressed else A1111.encode()

    data = hidden(f"stealth_{place}{'comp' if compressed else 'info'}".encode(), content)

    assert texts(data) == [("parameters", A1111)]


def test_a_text_of_an_unknown_program_still_tells_of_a_generator() -> None:
    marks = find(read(read_image(hidden(b"stealth_pnginfo", b'{"made": "by something"}'))))

    assert [mark.program for mark in marks] == ["an image generator that hides its settings in the pixels"]


@pytest.mark.parametrize("size", [(33, 32), (32, 300), (151, 40), (152, 40)])
def test_a_text_may_begin_and_end_in_any_column(size: tuple[int, int]) -> None:
    assert texts(hidden(b"stealth_pnginfo", b"Steps: 1", size)) == [("parameters", "Steps: 1")]


def test_a_text_that_inflates_is_bounded() -> None:
    data = hidden(b"stealth_pngcomp", gzip.compress(bytes(5_000_000)), (400, 300))

    ((_, text),) = texts(data)
    assert len(text) == hidden_text.LONGEST_TEXT


@pytest.mark.parametrize(
    ("content", "count"), [(b"not gzip", None), (b"", 2**32 - 1), (b"", 0), (b"", 97 * 61)]
)
def test_a_text_that_cannot_be_read_is_named(content: bytes, count: int | None) -> None:
    data = hidden(b"stealth_pngcomp", content, count=count)

    with pytest.raises((ValueError, zlib.error)):
        texts(data)
    assert read(read_image(data)).unreadable == ("Hidden text",)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_a_picture_without_hidden_text_has_none(image_format: str) -> None:
    assert texts(samples.encode(samples.photo(), image_format)) == []
