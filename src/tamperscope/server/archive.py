"""Stored analyses: each is made once, then answered from the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from tamperscope.documents import pictures
from tamperscope.evidence import metadata, provenance
from tamperscope.images import Image, rendering
from tamperscope.method import Method
from tamperscope.report import Report, ReportRecord
from tamperscope.server.detector_service import DetectorService
from tamperscope.store import IMAGE, THUMBNAIL, AnalysisStore, StoredAnalysis, StoredPicture, Subject

MASK, HEATMAP, EVIDENCE = "mask", "heatmap", "evidence/"
"""Names of the stored pictures; a measurement's map is named `EVIDENCE` plus the measurement's name."""
LONGEST_MAP_SIDE = 1024
"""Pixels. The heatmap and the maps are scaled down to it; the mask compresses well and keeps its size."""


class AnalysisArchive:
    """The stored analyses of a server, and the way to add new ones; shared by its threads."""

    def __init__(self, service: DetectorService, store: AnalysisStore) -> None:
        self.store = store
        self._service = service

    def analyze(
        self,
        data: bytes,
        *,
        owner: str,
        keep: bool,
        private: bool = False,
        client_disconnected: Callable[[], bool] = lambda: False,
    ) -> tuple[StoredAnalysis, bool]:
        """Return the analysis of an image file, and whether it is new.

        `owner` is the id of the caller's API key, or empty without one. An owner has one analysis per image
        and method. `keep` also stores the image, even if the analysis already exists. A `private` analysis is
        always new and never listed. Raises as `DetectorService.analyze` does, `StoreError` and `QuotaError`.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        stored = self.store.find(_subject(owner, sha256, self._service.method, private))
        new = False
        if stored is None:
            stored, new = self._analyzed(data, owner, keep, private, client_disconnected)
        if keep and not stored.kept:
            with self._service.decoded(data, client_disconnected) as image:
                record = _with_pictures(stored.report, image)
                kept = _kept(data, image, record.image.format)
            self.store.keep(stored.id, kept, record)
            stored = self.store.get(stored.id, owner=owner) or stored
        return stored, new

    def _analyzed(
        self, data: bytes, owner: str, keep: bool, private: bool, client_disconnected: Callable[[], bool]
    ) -> tuple[StoredAnalysis, bool]:
        # Before the image is analysed for nothing.
        self.store.check_quota(owner)
        with self._service.analyze(data, client_disconnected, all_evidence=True) as analysis:
            report = analysis.report
            with self._service.metrics.stage("encode"):
                stored = dict(_pictures(report))
            if keep:
                stored |= _kept(data, analysis.image, report.image.format)
        record = report.record if keep else _without_pictures(report.record)
        # The method that was used, because the bundle may have been replaced in the meantime.
        subject = _subject(owner, report.image.sha256, analysis.method, private)
        return self.store.add(subject, record, stored)


def _subject(owner: str, image_sha256: str, method: Method, private: bool) -> Subject:
    return Subject(owner, image_sha256, method.bundle.sha256, method.key, private)


def _kept(data: bytes, image: Image, image_format: str) -> dict[str, StoredPicture]:
    """Return the pictures to store of an image that is kept: the file itself, and a thumbnail."""
    small = pictures.thumbnail(image.pixels)
    return {
        IMAGE: StoredPicture(f"image/{image_format.lower()}", data),
        THUMBNAIL: StoredPicture(small.media_type, small.data),
    }


def _pictures(report: Report) -> Iterator[tuple[str, StoredPicture]]:
    yield MASK, _png(rendering.mask_image(report.mask))
    maps = {EVIDENCE + name: found.map for name, found in report.evidence.items() if found.map is not None}
    for name, values in {HEATMAP: report.heatmap, **maps}.items():
        yield name, _png(rendering.levels(rendering.scaled_down(values, LONGEST_MAP_SIDE)))


def _without_pictures(record: ReportRecord) -> ReportRecord:
    """Leave out the previews inside the file: they show an image that the caller did not ask to keep."""
    return _picturing(record, None, ())


def _with_pictures(record: ReportRecord, image: Image) -> ReportRecord:
    small = metadata.preview(image)
    credentials = provenance.read(image)
    parts = [part.picture for part in credentials.parts] if credentials else []
    return _picturing(record, metadata.picture_of(small) if small else None, parts)


def _picturing(record: ReportRecord, preview: str | None, parts: Sequence[str]) -> ReportRecord:
    """Return a record with this embedded preview and these previews of ingredients, where it has a place."""
    evidence = dict(record.evidence)
    found = evidence.get(metadata.NAME)
    if found and found.details.get("preview"):
        details = {**found.details, "preview": {**found.details["preview"], "picture": preview}}
        evidence[metadata.NAME] = replace(found, details=details)
    found = evidence.get(provenance.NAME)
    if found and found.details.get("parts"):
        shown = chain(parts, repeat(""))
        told = [
            {**part, "picture": picture} for part, picture in zip(found.details["parts"], shown, strict=False)
        ]
        details = {**found.details, "parts": told}
        evidence[provenance.NAME] = replace(found, details=details)
    return replace(record, evidence=evidence)


def _png(picture: NDArray[np.uint8]) -> StoredPicture:
    return StoredPicture("image/png", rendering.encode_png(picture))
