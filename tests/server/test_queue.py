"""Many requests at the same time."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from io import BytesIO
from types import SimpleNamespace

import pytest

from fakes import FakeDetector, fake_app
from tamperscope.errors import AnalysisTimeoutError, BusyError
from tamperscope.images import rendering
from tamperscope.server import detector_service
from tamperscope.server.detector_service import MOST_HUNG, DetectorService
from tamperscope.server.gate import Gate
from tamperscope.settings import Settings


@pytest.fixture
def detector():
    detector = FakeDetector(holding=True)
    yield detector
    detector.release.set()


def send(app, data: bytes):
    return app.test_client().post("/classify", data={"image": (BytesIO(data), "a.png")})


def test_a_request_is_rejected_at_once_when_the_queue_is_full(detector, photo_png):
    app = fake_app(Settings(workers=1, queue=0), detector)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(send, app, photo_png)
        assert detector.entered.acquire(timeout=30)

        refused = send(app, photo_png)
        alive = app.test_client().get("/health")
        detector.release.set()

        assert first.result().status_code == 200
    assert (refused.status_code, refused.mimetype) == (503, "application/problem+json")
    assert int(refused.headers["Retry-After"]) > 0
    assert alive.status_code == 200
    assert send(app, photo_png).status_code == 200


def test_a_queued_request_is_answered(detector, photo_png):
    app = fake_app(Settings(workers=1, queue=3), detector)
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(send, app, photo_png) for _ in range(4)]
        assert detector.entered.acquire(timeout=30)
        assert not detector.entered.acquire(timeout=0.05), (
            "a second image was admitted although there is only one worker"
        )
        detector.release.set()

        assert [each.result().status_code for each in waiting] == [200] * 4


def test_a_refused_image_releases_its_slot(photo_png):
    app = fake_app(Settings(workers=1, queue=0))

    assert [send(app, data).status_code for data in (b"text", b"text", photo_png)] == [415, 415, 200]


def test_a_caller_that_waits_too_long_is_rejected_and_the_queue_moves_on():
    gate = Gate(workers=1, queue=1, timeout=0.01)
    with gate.enter():
        with pytest.raises(BusyError, match=r"within 0\.01 seconds"), gate.enter():
            pass
        assert (gate.inside, gate.waiting) == (1, 0)
    with gate.enter() as waited:
        assert waited >= 0
    assert (gate.inside, gate.waiting) == (0, 0)


class TestLowPriority:
    def test_it_is_admitted_only_when_no_one_else_waits(self):
        gate = Gate(workers=1, queue=2, timeout=30)
        order, moment = [], threading.Event()

        def enter(name: str, low_priority: bool) -> None:
            with gate.enter(low_priority=low_priority):
                order.append(name)

        with ThreadPoolExecutor(3) as pool:
            with gate.enter():
                waiting = [pool.submit(enter, "low", True)]
                waiting += [pool.submit(enter, name, False) for name in ("first", "second")]
                while gate.waiting < 2:
                    moment.wait(0.001)
            for each in waiting:
                each.result(timeout=30)

        assert order[-1] == "low"

    def test_it_does_not_count_towards_the_queue(self):
        gate = Gate(workers=1, queue=0, timeout=30)
        entered = threading.Event()

        def person() -> None:
            with gate.enter():
                entered.set()

        with ThreadPoolExecutor(1) as pool:
            with gate.enter(low_priority=True):
                waiting = pool.submit(person)
            waiting.result(timeout=30)
        assert entered.is_set()

    def test_a_thread_inside_enters_again_at_once(self):
        gate = Gate(workers=1, queue=0, timeout=0.01)

        with gate.enter(low_priority=True):
            with gate.enter() as waited:
                assert (waited, gate.inside) == (0.0, 1)
            with gate.enter(low_priority=True):
                assert gate.inside == 1
        assert gate.inside == 0


class HangingDetector(FakeDetector):
    """Like native code that never comes back, until it is released."""

    def analyze(self, source, *, all_evidence=False):
        self.entered.release()
        assert self.release.wait(30)
        return FakeDetector().analyze(source)


class TestHangingAnalysis:
    @pytest.fixture
    def hanging(self, monkeypatch):
        detector = HangingDetector(holding=True)

        def impatient(outcomes, timeout):
            while not (ended := wait(outcomes, 0.01)).done and not detector.entered.acquire(blocking=False):
                pass
            return ended

        monkeypatch.setattr(detector_service, "wait", impatient)
        yield detector
        detector.release.set()

    def test_it_is_left_behind_and_the_server_goes_on(self, hanging, photo_png):
        app = fake_app(Settings(workers=1, queue=0), hanging)

        ended = send(app, photo_png)
        page = app.test_client().get("/metrics").text

        assert ended.get_json()["type"] == "urn:tamperscope:problem:analysis-timeout"
        assert re.search(r"^tamperscope_analyses_hung 1", page, re.MULTILINE)
        assert re.search(r"^tamperscope_analyses_running 0", page, re.MULTILINE)
        hanging.release.set()
        assert send(app, photo_png).status_code == 200

    def test_too_many_ask_for_a_new_process(self, hanging, photo_png):
        service = DetectorService(Settings(), lambda: hanging)
        service.load()
        for _ in range(MOST_HUNG):
            assert not service.exhausted
            with pytest.raises(AnalysisTimeoutError), service.analyze(photo_png):
                pass
        assert service.exhausted
        assert not service.idle_within(0)


class ServiceClock:
    """The service's clock, which a test sets, or which steps of the service move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self._monkeypatch = monkeypatch

    def slow(self, place: object, name: str, seconds: float) -> None:
        """Make a function take so long."""
        step = getattr(place, name)

        def slowly(*given: object, **options: object) -> object:
            self.seconds += seconds
            return step(*given, **options)

        self._monkeypatch.setattr(place, name, slowly)


class TestDeadline:
    @pytest.fixture
    def clock(self, monkeypatch):
        clock = ServiceClock(monkeypatch)
        monkeypatch.setattr(detector_service, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
        return clock

    def test_an_analysis_that_takes_too_long_is_ended_and_the_next_one_is_made(
        self, clock, detector, photo_png
    ):
        app = fake_app(Settings(deadline=120), detector)
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(send, app, photo_png)
            assert detector.entered.acquire(timeout=30)
            clock.seconds += 121
            ended = waiting.result()
        detector.release.set()

        assert (ended.status_code, ended.mimetype) == (422, "application/problem+json")
        assert ended.get_json()["type"] == "urn:tamperscope:problem:analysis-timeout"
        assert send(app, photo_png).status_code == 200

    def test_decoding_counts_too(self, clock, photo_png):
        detector = FakeDetector()
        clock.slow(detector_service, "read_image", 121)

        ended = send(fake_app(Settings(deadline=120), detector), photo_png)

        assert ended.get_json()["type"] == "urn:tamperscope:problem:analysis-timeout"
        assert not detector.entered.acquire(blocking=False)

    @pytest.mark.parametrize("path", ["/segment", "/v1/analyses"])
    def test_decoding_measuring_and_drawing_count_together(self, clock, photo_png, path):
        detector = FakeDetector()
        clock.slow(detector_service, "read_image", 50)
        clock.slow(detector, "analyze", 50)
        client = fake_app(Settings(deadline=120), detector).test_client()

        def post(data: bytes):
            return client.post(path, data={"image": (BytesIO(data), "a.png")})

        assert post(photo_png).status_code in (200, 201)
        clock.slow(rendering, "mask_image", 50)
        ended = post(photo_png + b"another file")
        assert ended.get_json()["type"] == "urn:tamperscope:problem:analysis-timeout"

    def test_two_pictures_that_are_compared_count_together(self, clock, photo_png):
        clock.slow(detector_service, "read_image", 70)
        sent = {name: (BytesIO(photo_png), "a.png") for name in ("image", "other")}

        ended = fake_app(Settings(deadline=120)).test_client().post("/v1/compare", data=sent)

        assert ended.get_json()["type"] == "urn:tamperscope:problem:analysis-timeout"

    def test_an_analysis_ends_when_its_client_disconnects(self, detector, photo_png):
        app = fake_app(Settings(workers=1, queue=0), detector)
        # The client is asked for with the slot, before decoding, before the analysis, and within it.
        here = iter(3 * [False])
        overrides = {"waitress.client_disconnected": lambda: next(here, True)}

        app.test_client().post(
            "/classify", data={"image": (BytesIO(photo_png), "a.png")}, environ_overrides=overrides
        )

        assert detector.entered.acquire(blocking=False)
        detector.release.set()
        assert send(app, photo_png).status_code == 200

    def test_a_job_image_never_costs_a_request_its_answer(self):
        gate = Gate(workers=1, queue=0, timeout=0.01, longest=30)
        entered, leave = threading.Event(), threading.Event()

        def job() -> None:
            with gate.enter(low_priority=True):
                entered.set()
                leave.wait(30)

        def person() -> None:
            with gate.enter():
                pass

        with ThreadPoolExecutor(2) as pool:
            pool.submit(job)
            assert entered.wait(30)
            waiting = pool.submit(person)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.1)
            leave.set()
            waiting.result(timeout=30)


def test_an_image_whose_client_has_disconnected_is_not_analysed(photo_png):
    detector = FakeDetector()
    client = fake_app(detector=detector).test_client()

    for disconnected in (True, False):
        client.post(
            "/classify",
            data={"image": (BytesIO(photo_png), "a.png")},
            environ_overrides={
                "waitress.client_disconnected": lambda disconnected=disconnected: disconnected
            },
        )
        assert detector.entered.acquire(blocking=False) is not disconnected
