"""What stands between a request and the detector: the queue, the limits, and the bundle that is swapped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from werkzeug.exceptions import ClientDisconnected

from tamperscope.detector import Detector
from tamperscope.errors import NotReadyError
from tamperscope.images import Image, read_image
from tamperscope.method import Method
from tamperscope.report import BundleIdentity, Report
from tamperscope.server.gate import Gate
from tamperscope.server.middleware.metrics import Metrics
from tamperscope.settings import Settings


@dataclass(frozen=True, eq=False)
class Analysis:
    """An uploaded image together with what was found in it."""

    image: Image
    report: Report
    method: Method
    """What the report depends on besides the image."""


class DetectorService:
    """The one detector of a server, shared by its threads, and replaced by `load` while they work."""

    def __init__(self, settings: Settings, load: Callable[[], Detector]) -> None:
        self._limits = settings.limits
        self._load = load
        self._gate = Gate(settings.workers, settings.queue, settings.timeout)
        self._loading = threading.Lock()
        self._detector: Detector | None = None
        self.metrics = Metrics(self._gate)

    def load(self) -> BundleIdentity:
        """Load the bundle, run it once, then answer with it; return what it is.

        Until then the bundle before keeps answering, and running analyses end with the one they began with.
        Raises `BundleError` when it cannot be used, and nothing has changed.
        """
        with self._loading:
            detector = self._load()
            # Compiling shows only now on some machines, and the first user must not wait for it.
            detector.warm_up()
            self._detector = detector
            self.metrics.serving(detector.bundle.identity)
            return detector.bundle.identity

    @contextmanager
    def analyze(
        self,
        data: bytes,
        client_disconnected: Callable[[], bool] = lambda: False,
        *,
        all_evidence: bool = False,
    ) -> Iterator[Analysis]:
        """Hold a worker's place while the analysis of an image file is made and used.

        With `all_evidence`, every measurement is made. Raises as `decoded` does, and `NotReadyError` before
        the first `load`.
        """
        detector = self._ready()
        with self.decoded(data, client_disconnected) as image:
            with self.metrics.stage("inference"):
                report = detector.analyze(image, all_evidence=all_evidence)
            yield Analysis(image, report, detector.method)

    @contextmanager
    def decoded(
        self, data: bytes, client_disconnected: Callable[[], bool] = lambda: False
    ) -> Iterator[Image]:
        """Hold a worker's place while an image file is decoded and used.

        A large picture takes more memory in decoding and rendering than in the network, hence the place.
        `client_disconnected` says whether nobody waits for the answer any more. Raises `ImageError` for the
        image, `BusyError` for a full queue, and `ClientDisconnected` when the client went while its image
        waited.
        """
        with self.slot(client_disconnected):
            with self.metrics.stage("decode"):
                image = read_image(data, self._limits)
            yield image

    @contextmanager
    def slot(self, client_disconnected: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold a worker's place for other work; raises as `decoded` does, but for the image."""
        with self._gate.enter() as waited:
            self.metrics.waited(waited)
            if client_disconnected():
                raise ClientDisconnected
            yield

    def low_priority_slot(self) -> AbstractContextManager[object]:
        """Hold a worker's place that nobody else waits for; `analyze` and `decoded` inside take no other."""
        return self._gate.enter(patient=True)

    @property
    def method(self) -> Method:
        """What every answer depends on besides the image; raises `NotReadyError` before the first `load`."""
        return self._ready().method

    def _ready(self) -> Detector:
        if self._detector is None:
            raise NotReadyError("The model is still being loaded; try again in a few seconds.")
        return self._detector
