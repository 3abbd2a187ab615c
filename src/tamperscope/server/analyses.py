"""Analyses that are stored: made once, then answered from the store."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamperscope import __version__, rendering
from tamperscope.evidence import metadata
from tamperscope.images import Image
from tamperscope.report import Report
from tamperscope.server.analysis import AnalysisService
from tamperscope.server.settings import Settings
from tamperscope.store import IMAGE, Picture, Store, StoredAnalysis, Subject

MASK, HEATMAP, EVIDENCE = "mask", "heatmap", "evidence/"
"""Names of the stored pictures; a measurement's map has its name after `EVIDENCE`."""
LONGEST_MAP_SIDE = 1024
"""Pixels: heatmap and maps are scaled down to it. The mask is stored as it is: it compresses well."""

# What a result depends on within this package, apart from bundle and settings.
_CODE = ("calibration.py", "detector.py", "evidence", "images.py", "inference", "report.py")


class Analyses:
    """The stored analyses of a server, and how new ones come about; its threads share one of these."""

    def __init__(self, service: AnalysisService, store: Store, settings: Settings) -> None:
        self.store = store
        self._service = service
        # All that could change an answer is part of it, so a stored one is never out of date.
        self._method = (
            f"tamperscope {__version__} {_code_digest()}, clones {settings.evidence}, "
            f"precision {settings.precision}, {settings.pixel_budget} pixels"
        )

    def analyze(
        self, data: bytes, *, owner: str, keep: bool, gone: Callable[[], bool] = lambda: False
    ) -> tuple[StoredAnalysis, bool]:
        """Return the analysis of an image file, and whether it is a new one.

        `owner` is the name of the API key that asks, empty for none: it has one analysis of each image, by
        each bundle, software and settings. `keep` keeps the image as well, also of an earlier analysis.
        Raises as `AnalysisService.analyze` does, and `StoreError`.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        stored = self.store.find(Subject(owner, sha256, self._service.bundle.sha256, self._method))
        new = False
        if stored is None:
            stored, new = self._analyzed(data, owner, keep, gone)
        if keep and not stored.kept:
            with self._service.decoded(data, gone) as image:
                document = _with_preview(stored.document, image)
            self.store.keep(stored.id, _image(data, document["image"]["format"]), document)
            stored = self.store.get(stored.id, owner=owner) or stored
        return stored, new

    def _analyzed(
        self, data: bytes, owner: str, keep: bool, gone: Callable[[], bool]
    ) -> tuple[StoredAnalysis, bool]:
        with self._service.analyze(data, gone, all_evidence=True) as analysis:
            report = analysis.report
            with self._service.metrics.stage("encode"):
                pictures = dict(_pictures(report))
        if keep:
            pictures[IMAGE] = _image(data, report.image.format)
        document = report.to_json() if keep else _without_preview(report.to_json())
        # Of the bundle that was used: it may have been swapped meanwhile.
        subject = Subject(owner, report.image.sha256, report.bundle.sha256, self._method)
        return self.store.add(subject, document, pictures)


def _pictures(report: Report) -> Iterator[tuple[str, Picture]]:
    yield MASK, _png(rendering.mask_image(report.mask))
    maps = {EVIDENCE + name: found.map for name, found in report.evidence.items() if found.map is not None}
    for name, values in {HEATMAP: report.heatmap, **maps}.items():
        yield name, _png(rendering.levels(rendering.scaled_down(values, LONGEST_MAP_SIDE)))


def _without_preview(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the small picture that a file carries of itself: it shows what nobody asked to keep."""
    return _previewing(document, None) if _preview(document) else document


def _with_preview(document: Mapping[str, Any], image: Image) -> Mapping[str, Any]:
    small = metadata.preview(image) if _preview(document) else None
    return _previewing(document, metadata.picture_of(small)) if small else document


def _preview(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = (
        document["evidence"].get(metadata.NAME, {}).get("details", {}).get("preview")
    )
    return found


def _previewing(document: Mapping[str, Any], picture: str | None) -> Mapping[str, Any]:
    evidence = document["evidence"]
    found = evidence[metadata.NAME]
    details = {**found["details"], "preview": {**found["details"]["preview"], "picture": picture}}
    return {**document, "evidence": {**evidence, metadata.NAME: {**found, "details": details}}}


def _png(picture: NDArray[np.uint8]) -> Picture:
    return Picture("image/png", rendering.encode_png(picture))


def _image(data: bytes, image_format: str) -> Picture:
    return Picture(f"image/{image_format.lower()}", data)


@functools.cache
def _code_digest() -> str:
    """Return a digest of the code that makes a report, because its version stays for many commits."""
    package = resources.files("tamperscope")
    digest = hashlib.sha256()
    for name in _CODE:
        for source in _sources(package / name):
            digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _sources(place: Traversable) -> list[Traversable]:
    if place.is_dir():
        within = sorted(place.iterdir(), key=lambda entry: entry.name)
        return [source for entry in within for source in _sources(entry)]
    return [place] if place.name.endswith(".py") else []
