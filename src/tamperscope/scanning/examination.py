"""What a scan does with one content, and the row that comes of it, wherever that runs."""

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
from tamperscope.method import DetectorOptions, Method
from tamperscope.report import Region, Report, ReportRecord

_log = logging.getLogger(__name__)

_DEFAULT_OPTIONS = DetectorOptions()


@dataclass(frozen=True)
class ScanRow:
    """What the results say about one content. Where there is no report, `error` says why and the rest is
    None.
    """

    verdict: str | None = None
    score: float | None = None
    type: str | None = None
    regions: tuple[Region, ...] | None = None
    """As in the report, largest first."""
    evidence: Mapping[str, float | None] | None = None
    """The strength of each measurement that was made; None where it does not apply."""
    notes: tuple[str, ...] | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    byte_count: int | None = None
    error: str | None = None
    recognised: bool = True
    """Whether the content is an image in a supported format, however damaged."""

    @classmethod
    def of(cls, report: ReportRecord) -> ScanRow:
        """Return what the results say about a report."""
        image = report.image
        return cls(
            verdict=report.verdict.value,
            score=report.score,
            type=report.type.value,
            regions=report.regions,
            evidence={name: found.strength for name, found in report.evidence.items()},
            notes=(*report.notes, *image.notes),
            width=image.width,
            height=image.height,
            format=image.format,
            byte_count=image.byte_count,
        )

    @classmethod
    def failed(cls, reason: str, *, recognised: bool = True) -> ScanRow:
        """Return what the results say where there is no report."""
        return cls(error=reason, recognised=recognised)

    def to_json(self) -> dict[str, Any]:
        """Return the row in types that `json.dumps` takes."""
        regions = None if self.regions is None else [region.to_json() for region in self.regions]
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "regions": regions}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ScanRow:
        """Read back what `to_json` returned."""
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
    """What the examination of one content gives."""

    row: ScanRow
    mask: bytes | None = None
    """The mask as PNG, where masks are wanted and there is one."""


@dataclass(frozen=True)
class Examination:
    """What a scan does with each content, the same on every machine."""

    options: DetectorOptions = _DEFAULT_OPTIONS
    all_evidence: bool = False
    """Make every measurement, not only those that the score rests on."""
    masks: bool = False

    def identity(self, bundle: Bundle) -> dict[str, Any]:
        """Return all that a row depends on besides the content, as JSON."""
        method = Method.of(bundle.identity, self.options)
        return {**method.to_json(), "all_evidence": self.all_evidence, "masks": self.masks}


class _Analyses(Protocol):
    def analyze(self, source: Image, *, all_evidence: bool) -> Report: ...


class Examiner:
    """Examines one content after the other."""

    def __init__(self, detector: _Analyses, examination: Examination) -> None:
        self._detector = detector
        self._examination = examination

    def examine(self, data: bytes) -> Examined:
        """Return what there is to say about a file's content; never raises over what is in it."""
        try:
            image = read_image(data, self._examination.options.limits)
            report = self._detector.analyze(image, all_evidence=self._examination.all_evidence)
        except (UnsupportedImageError, EmptyImageError) as error:
            return Examined(ScanRow.failed(str(error), recognised=False))
        except ImageError as error:
            return Examined(ScanRow.failed(str(error)))
        except Exception as error:
            # One image among millions must not end a scan that takes days.
            _log.debug("An analysis failed.", exc_info=True)
            return Examined(ScanRow.failed(f"The analysis failed ({type(error).__name__})."))
        mask = encode_png(mask_image(report.mask)) if self._examination.masks else None
        return Examined(ScanRow.of(report.record), mask)


def open_examiner(bundle: Path, examination: Examination, cache: Path | None = None) -> Examiner:
    """Return an examiner that uses one thread, as several at a time keep all cores busy without waiting.

    Raises `BundleError` as `Detector.load` does.
    """
    import cv2

    # For the whole process: OpenCV and BLAS would start as many threads as there are cores in each of them.
    cv2.setNumThreads(1)
    leave_blas_one_thread()
    options = replace(examination.options, threads=1, cache=cache)
    return Examiner(Detector.load(bundle, options), examination)
