"""Access to the detector: the queue in front of it, the image limits, and reloads of the bundle."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from werkzeug.exceptions import ClientDisconnected

from tamperscope import background
from tamperscope.detector import Detector
from tamperscope.errors import AnalysisTimeoutError, NotReadyError, StoppingError
from tamperscope.images import Image, read_image
from tamperscope.interruption import Check, checked_by
from tamperscope.method import Method
from tamperscope.report import BundleIdentity, Report
from tamperscope.server.gate import Gate
from tamperscope.server.middleware.metrics import Metrics
from tamperscope.settings import Settings

GRACE_SECONDS = 60.0
"""Time that an analysis has after its deadline to notice it: more than any step takes at 100 megapixels."""
MOST_HUNG = 3
"""Hung calls that a process bears. Each may keep a core busy and the memory of its image."""

_Returned = TypeVar("_Returned")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Analysis:
    """An uploaded image with its report."""

    image: Image
    report: Report
    method: Method
    """What the report depends on besides the image."""


@dataclass(frozen=True)
class Turn:
    """A slot held for one request, or one image of a job, with one deadline for all that is done in it."""

    end: float
    """When it should end, on the clock of `time.monotonic`."""
    check: Check
    """Raises when it should end: after `end`, when the client has disconnected, or when the server stops."""


class DetectorService:
    """The one detector of a server, shared by its threads; `load` replaces it while they work."""

    def __init__(self, settings: Settings, load: Callable[[], Detector]) -> None:
        self._limits = settings.limits
        self._load = load
        self._gate = Gate(settings.workers, settings.queue, settings.timeout, settings.deadline)
        self._deadline = settings.deadline
        self._stopping = threading.Event()
        self._hung: set[Future[Any]] = set()
        self._loading = threading.Lock()
        self._detector: Detector | None = None
        self.metrics = Metrics(self._gate, hung=lambda: len(self._hung))

    def load(self) -> BundleIdentity:
        """Load the bundle, run it once, then answer with it, and return its identity.

        The previous bundle answers until then. A running analysis finishes with the bundle it started with.
        Raises `BundleError` and changes nothing when the new bundle cannot be used.
        """
        with self._loading:
            detector = self._load()
            # On some machines the first run compiles; the first user must not wait for that.
            detector.warm_up()
            self._detector = detector
            self.metrics.serving(detector.method)
            return detector.bundle.identity

    @contextmanager
    def analyze(
        self,
        data: bytes,
        client_disconnected: Callable[[], bool] = lambda: False,
        *,
        all_evidence: bool = False,
    ) -> Iterator[Analysis]:
        """Hold a slot while an image file is analysed and the analysis is used.

        `all_evidence` runs every measurement. Raises as `slot` and `read` do, and `NotReadyError` before the
        first `load`.
        """
        detector = self._ready()
        with self.slot(client_disconnected) as turn:
            image = self.read(data, turn)
            with self.metrics.stage("inference"):
                analyze = partial(detector.analyze, image, all_evidence=all_evidence)
                report = self._in_time(analyze, turn)
            yield Analysis(image, report, detector.method)

    @contextmanager
    def decoded(
        self, data: bytes, client_disconnected: Callable[[], bool] = lambda: False
    ) -> Iterator[Image]:
        """Hold a slot while an image file is decoded and used.

        Decoding and rendering a large image take more memory than the network, so they need a slot as well.
        Raises as `slot` and `read` do.
        """
        with self.slot(client_disconnected) as turn:
            yield self.read(data, turn)

    @contextmanager
    def slot(self, client_disconnected: Callable[[], bool] = lambda: False) -> Iterator[Turn]:
        """Hold a slot, and have `checkpoint` end what is done in it when that takes too long.

        `client_disconnected` returns whether the client has closed its connection. Raises `BusyError` when
        the queue is full or the wait is too long. Then `checkpoint` raises `AnalysisTimeoutError` after the
        deadline, `ClientDisconnected`, and `StoppingError` after `stop`.
        """
        with self._gate.enter() as waited:
            self.metrics.waited(waited)
            if client_disconnected():
                raise ClientDisconnected
            end = time.monotonic() + self._deadline
            turn = Turn(end, self._check(end, client_disconnected))
            with checked_by(turn.check):
                yield turn

    def read(self, data: bytes, turn: Turn) -> Image:
        """Return a decoded image file; raises `ImageError` if it cannot be used, and as `checkpoint` does."""
        with self.metrics.stage("decode"):
            return self._in_time(partial(read_image, data, self._limits), turn)

    def low_priority_slot(self) -> AbstractContextManager[object]:
        """Hold a slot that no one else waits for; `analyze` and `decoded` inside it take no second slot."""
        return self._gate.enter(low_priority=True)

    def stop(self) -> None:
        """End the running analyses as soon as possible."""
        self._stopping.set()

    def idle_within(self, seconds: float) -> bool:
        """Return whether every analysis has ended, or ends within that time."""
        return self._gate.empty_within(seconds) and not self._hung

    @property
    def exhausted(self) -> bool:
        """Whether so many analyses hang in native code that only a new process helps."""
        return len(self._hung) >= MOST_HUNG

    def _in_time(self, call: Callable[[], _Returned], turn: Turn) -> _Returned:
        """Return what `call` returns, from a thread that is left behind if native code never comes back."""
        turn.check()
        outcome = background.begin(call, "tamperscope-analysis")
        if not wait([outcome], turn.end - time.monotonic() + GRACE_SECONDS).done:
            self._hung.add(outcome)
            outcome.add_done_callback(self._hung.discard)
            _log.error("an analysis hangs and is left behind; %d of %d are", len(self._hung), MOST_HUNG)
            raise self._too_slow()
        try:
            return outcome.result()
        finally:
            # An exception would keep this frame, and through it itself and the image.
            del outcome

    def _check(self, end: float, client_disconnected: Callable[[], bool]) -> Check:
        """Return a function that raises when what is done until `end` should end."""

        def check() -> None:
            if self._stopping.is_set():
                raise StoppingError("The server is shutting down; send the image again.")
            if client_disconnected():
                raise ClientDisconnected
            if time.monotonic() > end:
                raise self._too_slow()

        return check

    def _too_slow(self) -> AnalysisTimeoutError:
        return AnalysisTimeoutError(
            f"The analysis took longer than {self._deadline} seconds and was ended; send a smaller image."
        )

    @property
    def method(self) -> Method:
        """What a report depends on besides the image; raises `NotReadyError` before the first `load`."""
        return self._ready().method

    def _ready(self) -> Detector:
        if self._detector is None:
            raise NotReadyError("The model is still loading; try again in a few seconds.")
        return self._detector
