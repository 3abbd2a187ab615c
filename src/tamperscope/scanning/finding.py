"""What a scan says about one content, and the analysis that finds it out, wherever that runs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tamperscope import __version__
from tamperscope.bundle import Bundle
from tamperscope.cores import leave_blas_one_thread
from tamperscope.detector import PIXEL_BUDGET, Detector
from tamperscope.errors import EmptyImageError, ImageError, UnsupportedImageError
from tamperscope.images import Image, ImageLimits, read_image
from tamperscope.inference.runtime import Precision
from tamperscope.rendering import encode_png, mask_image
from tamperscope.report import Report

_log = logging.getLogger(__name__)

_DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True)
class Finding:
    """What one row says about a content; where there is no report, `error` says why and the rest is None."""

    verdict: str | None = None
    score: float | None = None
    type: str | None = None
    regions: tuple[Mapping[str, Any], ...] | None = None
    """In the form that they have in the report's JSON, largest first."""
    evidence: Mapping[str, float | None] | None = None
    """The strength of each measurement that was made; None where it does not apply."""
    notes: tuple[str, ...] | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    byte_count: int | None = None
    error: str | None = None
    recognised: bool = True
    """Whether the content is an image in a format that is read, however damaged."""

    @classmethod
    def of(cls, report: Report) -> Finding:
        """Return what a row says of a report, rounded as in the report's own JSON."""
        document = report.to_json()
        facts = document["image"]
        return cls(
            verdict=document["verdict"],
            score=document["score"],
            type=document["type"],
            regions=tuple(document["regions"]),
            evidence={name: evidence["strength"] for name, evidence in document["evidence"].items()},
            notes=(*document["notes"], *facts["notes"]),
            width=facts["width"],
            height=facts["height"],
            format=facts["format"],
            byte_count=facts["byte_count"],
        )

    @classmethod
    def failed(cls, reason: str, *, recognised: bool = True) -> Finding:
        """Return what a row says where there is no report."""
        return cls(error=reason, recognised=recognised)


@dataclass(frozen=True)
class Outcome:
    """What an examination of one content gives."""

    finding: Finding
    mask: bytes | None = None
    """The mask as PNG, where masks are wanted and there is one."""


@dataclass(frozen=True)
class Examination:
    """What a scan does with each content, equal on every machine; see `Detector.load` for the settings."""

    limits: ImageLimits = _DEFAULT_LIMITS
    pixel_budget: int = PIXEL_BUDGET
    precision: Precision = "auto"
    use_evidence: bool = True
    all_evidence: bool = False
    """Make every measurement, not only those that the score rests on."""
    masks: bool = False

    def identity(self, bundle: Bundle) -> dict[str, Any]:
        """Return all that a finding depends on besides the content, as JSON: where equal, findings are."""
        about = {"tamperscope": __version__, "bundle": bundle.identity.sha256}
        return about | dataclasses.asdict(self)


class _Analyses(Protocol):
    def analyze(self, source: Image, *, all_evidence: bool) -> Report: ...


class Examiner:
    """Examines one content after the other."""

    def __init__(self, detector: _Analyses, examination: Examination) -> None:
        self._detector = detector
        self._examination = examination

    def examine(self, data: bytes) -> Outcome:
        """Return what there is to say about a file's content; never raises over what is in it."""
        try:
            image = read_image(data, self._examination.limits)
            report = self._detector.analyze(image, all_evidence=self._examination.all_evidence)
        except (UnsupportedImageError, EmptyImageError) as error:
            return Outcome(Finding.failed(str(error), recognised=False))
        except ImageError as error:
            return Outcome(Finding.failed(str(error)))
        except Exception as error:
            # One image among millions must not end a scan that takes days.
            _log.debug("An analysis failed.", exc_info=True)
            return Outcome(Finding.failed(f"The analysis failed ({type(error).__name__})."))
        mask = encode_png(mask_image(report.mask)) if self._examination.masks else None
        return Outcome(Finding.of(report), mask)


def open_examiner(bundle: Path, examination: Examination, cache: Path | None = None) -> Examiner:
    """Return an examiner that uses one thread, as several at a time keep all cores busy without waiting.

    Raises `BundleError` as `Detector.load` does.
    """
    import cv2

    # For the whole process: OpenCV and BLAS would start as many threads as there are cores in each of them.
    cv2.setNumThreads(1)
    leave_blas_one_thread()
    detector = Detector.load(
        bundle,
        limits=examination.limits,
        pixel_budget=examination.pixel_budget,
        threads=1,
        cache=cache,
        precision=examination.precision,
        use_evidence=examination.use_evidence,
    )
    return Examiner(detector, examination)
