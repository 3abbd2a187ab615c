"""Examine the content of one file of a scan, and describe it in one row."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from tamperscope.bundle import Bundle
from tamperscope.cores import leave_blas_one_thread
from tamperscope.detector import Detector
from tamperscope.errors import EmptyImageError, ImageError, UnsupportedImageError
from tamperscope.images import Image, read_image
from tamperscope.images.rendering import encode_png, mask_image
from tamperscope.inference.devices import choose
from tamperscope.method import DetectorOptions, Method
from tamperscope.report import Region, Report, ReportRecord, all_notes

_log = logging.getLogger(__name__)

_DEFAULT_OPTIONS = DetectorOptions()


@dataclass(frozen=True)
class ScanRow:
    """The result for one distinct content.

    If there is no report, `error` gives the reason, and all other fields except `recognised` are None.
    """

    verdict: str | None = None
    score: float | None = None
    type: str | None = None
    regions: tuple[Region, ...] | None = None
    """The regions of the report, largest first."""
    evidence: Mapping[str, float | None] | None = None
    """The strength of each measurement that was made; None if the measurement does not apply."""
    notes: tuple[str, ...] | None = None
    origin: str | None = None
    """The most telling kind of what the file says about its origin, such as `generated`."""
    origin_headline: str | None = None
    """The same in words, with the program."""
    origin_rule: str | None = None
    """Name of the rule by which the origin decided or limited the verdict; None if none applied."""
    width: int | None = None
    height: int | None = None
    format: str | None = None
    byte_count: int | None = None
    error: str | None = None
    recognised: bool = True
    """Whether the content is an image in a supported format, even a damaged one."""

    @classmethod
    def of(cls, report: ReportRecord) -> ScanRow:
        """Return the row of a report."""
        image = report.image
        return cls(
            verdict=report.verdict.value,
            score=report.score,
            type=report.type.value,
            regions=report.regions,
            evidence={name: found.strength for name, found in report.evidence.items()},
            notes=all_notes(report),
            origin=report.origin.kind.value,
            origin_headline=report.origin.headline,
            origin_rule=report.origin.rule.name if report.origin.rule else None,
            width=image.width,
            height=image.height,
            format=image.format,
            byte_count=image.byte_count,
        )

    @classmethod
    def failed(cls, reason: str, *, recognised: bool = True) -> ScanRow:
        """Return the row of a content that has no report."""
        return cls(error=reason, recognised=recognised)

    def to_json(self) -> dict[str, Any]:
        """Return the row in types that `json.dumps` accepts."""
        regions = None if self.regions is None else [region.to_json() for region in self.regions]
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "regions": regions}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ScanRow:
        """Return the row that `to_json` returned as `document`."""
        regions, notes = document["regions"], document["notes"]
        return cls(
            **{
                **document,
                "regions": None if regions is None else tuple(map(Region.from_json, regions)),
                "notes": None if notes is None else tuple(notes),
            }
        )


@dataclass(frozen=True)
class Examined:
    """The outcome of examining one content."""

    row: ScanRow
    mask: bytes | None = None
    """The mask as PNG; None if the scan writes no masks or there is no report."""


@dataclass(frozen=True)
class Examination:
    """How a scan examines each file. It is the same on every machine."""

    options: DetectorOptions = _DEFAULT_OPTIONS
    all_evidence: bool = False
    """Make every measurement, not only those that the score is based on."""
    masks: bool = False
    """Return the mask of each image as PNG."""

    def identity(self, bundle: Bundle) -> dict[str, Any]:
        """Return everything that a row depends on besides the content, in JSON types.

        Raises `SettingsError` when this machine does not have the device.
        """
        method = Method.of(bundle.identity, self.options, choose(self.options.device).text)
        return {**method.to_json(), "all_evidence": self.all_evidence, "masks": self.masks}


class _Analyses(Protocol):
    def analyze(self, source: Image, *, all_evidence: bool) -> Report: ...


class Examiner:
    """Examines one file at a time."""

    def __init__(self, detector: _Analyses, examination: Examination) -> None:
        self._detector = detector
        self._examination = examination

    def examine(self, data: bytes) -> Examined:
        """Return the result for a file's content; no content makes it raise."""
        try:
            image = read_image(data, self._examination.options.limits)
            report = self._detector.analyze(image, all_evidence=self._examination.all_evidence)
        except (UnsupportedImageError, EmptyImageError) as error:
            return Examined(ScanRow.failed(str(error), recognised=False))
        except ImageError as error:
            return Examined(ScanRow.failed(str(error)))
        except Exception as error:
            # A scan may run for days over millions of images; one of them must not end it.
            _log.debug("An analysis failed.", exc_info=True)
            return Examined(ScanRow.failed(f"The analysis failed ({type(error).__name__})."))
        mask = encode_png(mask_image(report.mask)) if self._examination.masks else None
        return Examined(ScanRow.of(report.record), mask)


def open_examiner(bundle: Path, examination: Examination, cache: Path | None = None) -> Examiner:
    """Return an examiner that uses one thread. Several of them keep all cores busy without waiting.

    Raises `BundleError` as `Detector.load` does.
    """
    import cv2

    # For the whole process: otherwise OpenCV and BLAS would each start one thread per core in every examiner.
    cv2.setNumThreads(1)
    leave_blas_one_thread()
    options = replace(examination.options, threads=1, cache=cache)
    return Examiner(Detector.load(bundle, options), examination)
