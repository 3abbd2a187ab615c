"""A short run of `make hostile`."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from types import SimpleNamespace

import pytest

import fakes
import samples
import tamperscope.detector
from fakes import FakeDetector, fake_app
from robustness.hostile import DAMAGES, damaged, huge_metadata, nested_metadata, send_all
from tamperscope.errors import ImageError
from tamperscope.evidence import metadata, provenance
from tamperscope.images import read_image
from tamperscope.server import serve
from tamperscope.settings import Settings

ROUND = 2 * len(DAMAGES) * len(samples.every_format())


@pytest.fixture
def url(monkeypatch):
    monkeypatch.setattr(
        tamperscope.detector, "Detector", SimpleNamespace(load=lambda *args, **kwargs: FakeDetector())
    )
    running = serve.start(Settings(port=0), lambda _: None)
    yield running.url
    running.stop()


def test_no_damage_crashes_or_blocks_the_server(url):
    outcome = send_all(url, damaged(ROUND, seed=0))

    assert outcome.failures == []
    assert outcome.statuses.total() == ROUND
    assert outcome.statuses[422] > 50
    assert outcome.statuses[200] > 5


def test_the_corpus_is_reproducible_and_has_every_damage_of_every_format():
    first, again = ({file.name: file.data for file in damaged(ROUND, seed=1)} for _ in range(2))

    assert first == again
    assert first != {file.name: file.data for file in damaged(ROUND, seed=2)}
    kinds = Counter(tuple(name.split(", ")[:2]) for name in first)
    assert set(kinds.values()) == {2}
    assert len(kinds) == len(DAMAGES) * len(samples.every_format())


@pytest.mark.parametrize("name", nested_metadata(b""))
def test_metadata_that_nests_or_lies_is_read_or_ignored(name):
    data = nested_metadata(samples.encode(samples.photo()))[name]
    try:
        image = read_image(data)
    except ImageError:
        return
    for measurement in (metadata, provenance):
        assert measurement.measure(image).finding


LARGEST_ANSWER = 2 * 2**20
"""Bytes of an answer with all evidence about the 64 x 48 pixels of a hostile file."""


@pytest.mark.parametrize("name", huge_metadata())
def test_huge_or_endless_metadata_gives_a_short_answer(name, monkeypatch):
    monkeypatch.setattr(fakes, "_evidence", lambda image: {"metadata": metadata.measure(image)})
    data = huge_metadata()[name]()

    answer = fake_app().test_client().post("/v1/analyses", data={"image": (BytesIO(data), "image")})
    answer.request.environ["wsgi.input"].close()  # the test client keeps a large body in a file

    assert answer.status_code == 201, answer.text[:300]
    assert answer.json["evidence"]
    assert len(answer.data) < LARGEST_ANSWER
