from __future__ import annotations

import asyncio
import resource
import socket
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
from werkzeug.exceptions import TooManyRequests

import samples
import tamperscope.detector
from fakes import FakeDetector
from tamperscope.client import AsyncClient, Case, Client, Feedback
from tamperscope.errors import BusyError, RefusedError, UnreachableError
from tamperscope.report import ManipulationType, Verdict
from tamperscope.server import serve
from tamperscope.settings import Settings


@pytest.fixture
def photo() -> bytes:
    return samples.encode(samples.photo(96, 64))


@pytest.fixture
def serving(monkeypatch, tmp_path):
    """Return a function that starts a server with a fake detector and returns its address."""
    started = []

    def start(detector: FakeDetector, **settings: object) -> str:
        monkeypatch.setattr(tamperscope.detector, "Detector", SimpleNamespace(load=lambda *_: detector))
        database = f"sqlite:///{tmp_path / 'analyses.db'}"
        started.append(serve.start(Settings(port=0, database=database, **settings), lambda _: None))
        return started[-1].url

    yield start
    for server in started:
        server.stop()


class Moody(FakeDetector):
    """Raises the given errors one after the other, then answers."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    def analyze(self, source: object, **options: object):
        if self.errors:
            raise self.errors.pop(0)
        return super().analyze(source, **options)


def test_the_pictures_are_png_files(serving, photo):
    answer = Client(serving(FakeDetector())).segment(photo)

    assert (answer.verdict, answer.width, answer.height) == (Verdict.MANIPULATED, 96, 64)
    for png in (answer.mask, answer.overlay, answer.masked_image):
        assert PIL.Image.open(BytesIO(png)).size == (96, 64)
    assert set(np.unique(PIL.Image.open(BytesIO(answer.mask)))) == {0, 255}


def test_only_requested_pictures_are_returned(serving, photo):
    answer = Client(serving(FakeDetector())).segment(photo, include=["mask"])

    assert answer.mask
    assert answer.overlay is answer.masked_image is None


def test_a_path_is_accepted_too(serving, photo, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(photo)

    answer = Client(serving(FakeDetector())).classify(tmp_path / "photo.jpg")

    assert (answer.class_name, answer.class_id) == (ManipulationType.COPYMOVE, 1)
    assert answer.scores[ManipulationType.COPYMOVE] == answer.confidence == 0.5


def test_an_analysis_is_stored_and_read_again(serving, photo):
    client = Client(serving(FakeDetector()))

    answer = client.analyze(photo, keep=True)

    assert (answer.verdict, answer.image.kept) == (Verdict.MANIPULATED, True)
    assert answer.evidence["error_level"].notable
    assert client.analysis(answer.id) == client.analyze(photo) == answer
    with pytest.raises(RefusedError, match="no such analysis"):
        client.analysis("0" * 32)
    with pytest.raises(RefusedError, match="nothing at this address"):
        client.analysis("../../metrics")


def test_an_analysis_is_described_and_found(serving, photo):
    client = Client(serving(FakeDetector()))
    answer = client.analyze(photo)
    client.analyze(photo, private=True)

    case = client.describe(answer.id, Case(title="The flood", tags=("flood",)))

    assert client.analysis(answer.id).case == case
    assert [found.id for found in client.analyses(search="FLOOD", verdict=Verdict.MANIPULATED)] == [answer.id]
    assert [found.id for found in client.analyses()] == [answer.id]
    assert list(client.analyses(tag="fire")) == []


def test_an_analysis_is_corrected_and_the_correction_taken_back(serving, photo):
    client = Client(serving(FakeDetector()))
    answer = client.analyze(photo)
    said = Feedback(truth="manipulated", type="splicing", region={"x": 3, "y": 4, "width": 20, "height": 10})

    assert client.correct(answer.id, said) == client.analysis(answer.id).feedback == said
    (corrected,) = client.corrections()
    assert corrected.correction.type is ManipulationType.SPLICING
    assert corrected.image_sha256 == answer.image.sha256
    client.take_back(answer.id)
    assert client.corrections() == ()
    assert client.analysis(answer.id).feedback is None
    with pytest.raises(RefusedError, match="no such analysis"):
        client.take_back("0" * 32)
    with pytest.raises(RefusedError, match="has no `type`"):
        client.correct(answer.id, Feedback(truth="authentic", type="splicing"))


def test_two_versions_of_a_picture_are_compared(serving, tmp_path):
    original = samples.scene(400, 300)
    published = original.copy()
    published[80:140, 100:180] = 255
    (tmp_path / "original.png").write_bytes(samples.encode(original, "PNG"))

    answer = Client(serving(FakeDetector())).compare(
        tmp_path / "original.png", samples.encode(published[20:], "PNG")
    )

    assert answer.aligned
    assert answer.shared == pytest.approx(280 / 300, abs=0.01)
    left, top = np.min(answer.differences[0].polygon, axis=0)
    right, bottom = np.max(answer.differences[0].polygon, axis=0)
    assert [left, top, right, bottom] == pytest.approx([100, 80, 180, 140], abs=6)


def test_a_job_is_followed_to_its_end(serving, photo, tmp_path):
    client = Client(serving(FakeDetector()), sleep=lambda _: None)
    named = tmp_path / 'my "photo".jpg'
    named.write_bytes(photo)

    job = client.submit([named, b"text", photo], keep=True, idempotency_key="mine")
    results = {result.number: result for result in client.results(job.id)}

    assert {number: result.name for number, result in results.items()} == {
        0: 'my "photo".jpg',
        1: "1",
        2: "2",
    }
    assert results[0].analysis == results[2].analysis
    assert results[0].analysis.image.kept
    assert results[1].problem.type.endswith("unsupported-image")
    assert client.job(job.id).state == "completed"
    assert client.cancel(job.id) == client.job(job.id)
    assert client.submit([named, b"text", photo], keep=True, idempotency_key="mine").id == job.id
    with pytest.raises(RefusedError, match="no such job"):
        client.job("0" * 32)


def test_the_webhook_of_a_job_is_sent(serving, photo):
    secret = "whsec_" + "c2VjcmV0" * 4

    job = Client(serving(FakeDetector())).submit(
        [photo], webhook="https://news.example/hook", webhook_secret=secret
    )

    assert job.webhook.url == "https://news.example/hook"


def test_a_refusal_has_the_message_of_the_server(serving):
    with pytest.raises(RefusedError, match="not an image") as refusal:
        Client(serving(FakeDetector()), sleep=pytest.fail).classify(b"text")

    assert refusal.value.status == 415


def test_a_request_to_a_busy_server_is_repeated_after_the_delay_it_asks_for(serving, photo):
    waits: list[float] = []
    url = serving(Moody(BusyError("Busy."), TooManyRequests(retry_after=20)))

    assert Client(url, sleep=waits.append).classify(photo).class_name == "copymove"

    assert len(waits) == 2
    assert 5 <= waits[0] <= 5 + 1 + 5 / 4
    assert 20 <= waits[1] <= 20 + 1 + 5


def test_the_client_gives_up_after_its_attempts(serving, photo):
    waits: list[float] = []
    url = serving(Moody(*5 * [BusyError("The server is busy.")]))

    with pytest.raises(RefusedError, match="The server is busy"):
        Client(url, attempts=3, sleep=waits.append).classify(photo)
    assert len(waits) == 2


def test_the_client_does_not_wait_longer_than_its_limit(serving, photo):
    url = serving(Moody(TooManyRequests(retry_after=3600)))

    with pytest.raises(RefusedError):
        Client(url, sleep=pytest.fail).classify(photo)


def test_the_progress_of_a_job_ends_with_its_end(serving, photo):
    client = Client(serving(FakeDetector()), sleep=lambda _: None)
    job = client.submit([photo, photo])

    seen = list(client.progress(job.id))

    assert [job.finished is None for job in seen] == [True] * (len(seen) - 1) + [False]
    assert (seen[-1].images.done, seen[-1].images.total) == (2, 2)
    assert len(seen) == len({job.model_dump_json() for job in seen})


def test_a_job_of_more_files_than_may_be_open_is_sent_from_disk(serving, photo, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    paths = [tmp_path / f"{number}.jpg" for number in range(200)]
    for path in paths:
        path.write_bytes(photo)
    client = Client(serving(FakeDetector()), sleep=lambda _: None)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 100, hard))
    try:
        job = client.submit(paths)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert client.cancel(job.id).images.total == 200


def test_a_file_is_sent_again_after_a_refusal(serving, photo, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(photo)
    url = serving(Moody(BusyError("Busy.")))

    assert Client(url, sleep=lambda _: None).classify(tmp_path / "photo.jpg").class_name == "copymove"


def test_a_path_that_cannot_be_read_is_an_os_error(serving, tmp_path):
    with pytest.raises(FileNotFoundError):
        Client(serving(FakeDetector())).classify(tmp_path / "missing.jpg")


def test_the_client_for_asyncio_does_the_same(serving, photo, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(photo)
    url = serving(FakeDetector())
    plain = Client(url)

    async def use() -> None:
        async with AsyncClient(url, sleep=lambda _: asyncio.sleep(0)) as client:
            assert await client.classify(tmp_path / "photo.jpg") == plain.classify(photo)
            assert await client.segment(photo, include=["mask"]) == plain.segment(photo, include=["mask"])
            stored = await client.analyze(photo)
            assert await client.analysis(stored.id) == stored == plain.analyze(photo)
            said = await client.correct(stored.id, Feedback(truth="authentic"))
            assert (await client.analysis(stored.id)).feedback == said
            assert await client.corrections() == plain.corrections() != ()
            await client.take_back(stored.id)
            assert await client.corrections() == ()
            assert await client.compare(tmp_path / "photo.jpg", photo) == plain.compare(photo, photo)
            job = await client.submit([tmp_path / "photo.jpg", b"text"])
            names = {result.name async for result in client.results(job.id)}
            assert names == {"photo.jpg", "1"}
            *_, last = [job async for job in client.progress(job.id)]
            assert last == await client.job(job.id) == await client.cancel(job.id)
            with pytest.raises(RefusedError, match="no such job"):
                await client.job("0" * 32)

    asyncio.run(use())


def test_the_client_for_asyncio_waits_too(serving, photo):
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def use() -> None:
        async with AsyncClient(serving(Moody(BusyError("Busy."))), sleep=sleep) as client:
            assert (await client.classify(photo)).class_name == "copymove"

    asyncio.run(use())
    assert len(waits) == 1


def test_a_key_is_sent(serving, photo, tmp_path):
    from datetime import date

    from tamperscope.server.middleware.keys import create_key

    key = create_key(tmp_path / "keys.json", "client", admin=False, today=date(2026, 1, 31))
    url = serving(FakeDetector(), keys=tmp_path / "keys.json")

    assert Client(url, key).classify(photo).class_id == 1
    with pytest.raises(RefusedError) as refusal:
        Client(url).classify(photo)
    assert refusal.value.status == 401


def test_no_server_at_the_address():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    with pytest.raises(UnreachableError, match=f"No server answers at http://127.0.0.1:{port}"):
        Client(f"http://127.0.0.1:{port}/").classify(b"x")


@pytest.mark.parametrize("url", ["127.0.0.1:5000", "file:///etc/passwd", ""])
def test_an_address_that_is_not_http_is_rejected(url):
    with pytest.raises(ValueError, match="not the address of a server"):
        Client(url)
