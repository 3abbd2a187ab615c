"""A detector without networks, for tests of the code around it."""

from __future__ import annotations

import atexit
import functools
import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from flask import Flask

from tamperscope.images import Image, read_image
from tamperscope.interruption import checkpoint
from tamperscope.method import DetectorOptions, Method
from tamperscope.report import (
    Box,
    BundleIdentity,
    CopySource,
    Evidence,
    Explanation,
    ManipulationType,
    Region,
    Report,
    Verdict,
)
from tamperscope.server.app import controls, create_app
from tamperscope.server.assembly import assemble
from tamperscope.settings import Settings
from tamperscope.store import AnalysisStore, Database

_numbers = itertools.count()

JOBS = "tests.jobs"
IDENTITY = BundleIdentity(name="fake", version="1", sha256="0" * 64)


class FakeDetector:
    """Reports one copy-move rectangle in the upper left quarter of each image, copied from the lower right.

    Images without any red are authentic. With `holding`, each analysis waits until `release` is set.
    """

    def __init__(
        self, *, holding: bool = False, version: str = IDENTITY.version, sha256: str = IDENTITY.sha256
    ) -> None:
        self.bundle = SimpleNamespace(
            identity=replace(IDENTITY, version=version, sha256=sha256), threshold=0.5, smallest_region=0.0
        )
        self.options = DetectorOptions()
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        if not holding:
            self.release.set()

    @property
    def method(self) -> Method:
        return Method.of(self.bundle.identity, self.options)

    def analyze(self, source: object, *, all_evidence: bool = False) -> Report:
        image = source if isinstance(source, Image) else read_image(source)
        self.entered.release()
        for _ in range(3000):
            if self.release.wait(0.01):
                break
            checkpoint()
        assert self.release.is_set()
        manipulated = bool(image.pixels[..., 0].any())
        return replace(
            _report(image, manipulated),
            bundle=self.bundle.identity,
            evidence=_evidence(image) if all_evidence else {},
        )

    def warm_up(self) -> None:
        pass


def fake_app(
    settings: Settings | None = None, detector: FakeDetector | None = None, store: AnalysisStore | None = None
) -> Flask:
    """Return the server's application, ready, with a fake detector."""
    detector = detector or FakeDetector()
    detector.options = (settings or Settings()).detector_options
    app = unready_app(lambda: detector, settings, store)
    controls(app).reload()
    return app


def unready_app(
    load: Callable[[], FakeDetector], settings: Settings | None = None, store: AnalysisStore | None = None
) -> Flask:
    """Return the server's application before its first load; `app.extensions[JOBS]` is its job runner."""
    parts = assemble(settings or Settings(), load, store or fresh_store(), job_threads=0)
    app = create_app(parts)
    app.extensions[JOBS] = parts.runner
    return app


def fresh_store() -> AnalysisStore:
    """Return a new, empty store in a file that is deleted when the tests end."""
    file = _folder() / f"{next(_numbers)}.db"
    file.write_bytes(_empty_database())
    return AnalysisStore(Database(f"sqlite:///{file}"))


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tamperscope-tests-"))
    atexit.register(shutil.rmtree, folder)
    return folder


@functools.cache
def _empty_database() -> bytes:
    # Once for all tests, because migrating takes longer than most of them.
    file = _folder() / "empty.db"
    Database(f"sqlite:///{file}").migrate()
    return file.read_bytes()


def _evidence(image: Image) -> dict[str, Evidence]:
    explanation = Explanation("what you see", "what it can mean", "what it cannot")
    ramp = np.linspace(0, 1, image.width, dtype=np.float32) * np.ones((image.height, 1), np.float32)
    return {
        "metadata": Evidence("metadata", explanation, "Nothing odd.", 0.25),
        "jpeg_grid": Evidence("jpeg_grid", explanation, "Not a JPEG.", None),
        "error_level": Evidence("error_level", explanation, "Brighter to the right.", 0.75, ramp),
    }


def _report(image: Image, manipulated: bool) -> Report:
    mask = np.zeros((image.height, image.width), bool)
    if manipulated:
        mask[image.height // 8 : image.height // 2, image.width // 8 : image.width // 2] = True
    top, left = image.height // 8, image.width // 8
    box = Box(left, top, image.width // 2 - left, image.height // 2 - top)
    corners = ((left, top), (left, image.height // 2 - 1), (image.width // 2 - 1, top))
    source = CopySource(
        tuple((image.width - 1 - x, image.height - 1 - y) for x, y in corners), 0.75, decided=True
    )
    region = Region(box, corners, float(mask.mean()), 0.75, ManipulationType.COPYMOVE, source)
    return Report(
        verdict=Verdict.MANIPULATED if manipulated else Verdict.AUTHENTIC,
        score=0.9 if manipulated else 0.1,
        type=ManipulationType.COPYMOVE,
        type_scores=dict(zip(ManipulationType, (0.125, 0.5, 0.25, 0.125), strict=True)),
        regions=(region,) if manipulated else (),
        threshold=0.5,
        notes=("found by a fake",),
        image=image.facts(),
        bundle=IDENTITY,
        mask=mask,
        heatmap=mask.astype(np.float32) * np.float32(0.75),
    )
