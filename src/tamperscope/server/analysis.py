"""What stands between a request and the detector: the queue, the limits and the warm-up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tamperscope.detector import Detector
from tamperscope.images import Image, read_image
from tamperscope.report import BundleIdentity, Report
from tamperscope.server.gate import Gate
from tamperscope.server.settings import Settings


@dataclass(frozen=True, eq=False)
class Analysis:
    """An uploaded image together with what was found in it."""

    image: Image
    report: Report


class AnalysisService:
    """The one detector of a server, shared by its threads."""

    def __init__(self, settings: Settings, detector: Detector) -> None:
        self._limits = settings.limits
        self._detector = detector
        self._gate = Gate(settings.workers, settings.queue)
        self._warm = threading.Event()

    @contextmanager
    def analyze(self, data: bytes) -> Iterator[Analysis]:
        """Hold a worker's place while the analysis of an image file is made and used.

        Decoding and rendering are done inside as well, because a large picture takes more memory there
        than in the network. Raises `ImageError` for the image and `BusyError` for a full queue.
        """
        with self._gate.enter():
            image = read_image(data, self._limits)
            yield Analysis(image, self._detector.analyze(image))

    def warm_up(self) -> None:
        """Run the networks once, so that the first user does not wait for their compilation."""
        self._detector.warm_up()
        self._warm.set()

    @property
    def is_warm(self) -> bool:
        """Whether `warm_up` is done."""
        return self._warm.is_set()

    @property
    def bundle(self) -> BundleIdentity:
        """The bundle behind every answer."""
        return self._detector.bundle.identity
