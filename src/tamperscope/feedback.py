"""What people who know the truth say of a report, and what a calibration needs of it.

    corrected = CorrectedAnalysis.of(report.record, Correction(Truth.AUTHENTIC))
    file.write(json.dumps(corrected.to_json()) + "\n")
    read_feedback(path)                    # (corrected,)

A correction holds no image: what was measured in it is enough to fit the score again.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tamperscope.errors import SettingsError
from tamperscope.report import Box, ManipulationType, ReportRecord


class Truth(enum.StrEnum):
    """What an image is, according to someone who knows."""

    AUTHENTIC = "authentic"
    MANIPULATED = "manipulated"


@dataclass(frozen=True)
class Correction:
    """What someone who knows the truth says of an image."""

    truth: Truth
    type: ManipulationType | None = None
    """How it was manipulated; None if it was not, or if that is not known."""
    region: Box | None = None
    """Where, in pixels of the upright image; None for an authentic image, or if that is not known."""

    def to_json(self) -> dict[str, Any]:
        """Return the correction in types that `json.dumps` takes."""
        return {
            "truth": self.truth.value,
            "type": self.type.value if self.type else None,
            "region": asdict(self.region) if self.region else None,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned; raises `KeyError`, `TypeError` or `ValueError` otherwise."""
        kind, region = document.get("type"), document.get("region")
        return cls(
            Truth(document["truth"]),
            ManipulationType(kind) if kind else None,
            Box(**{name: int(region[name]) for name in ("x", "y", "width", "height")}) if region else None,
        )


@dataclass(frozen=True)
class CorrectedAnalysis:
    """A correction, with what the corrected report was computed from."""

    correction: Correction
    measurements: Mapping[str, float]
    """As `Report.measurements`; empty in reports of versions that did not keep them."""
    pixels: int
    """Width times height of the image."""
    format: str
    """As `ImageFacts.format`."""
    networks: str
    """Digest of the networks, as `BundleIdentity.networks`."""
    drawn: bool
    """As `Report.drawn`."""
    image_sha256: str

    @classmethod
    def of(cls, report: ReportRecord, correction: Correction) -> Self:
        """Return the correction of a report."""
        image = report.image
        return cls(
            correction,
            report.measurements,
            image.width * image.height,
            image.format,
            report.bundle.networks,
            report.drawn,
            image.sha256,
        )

    def to_json(self) -> dict[str, Any]:
        """Return one line of a feedback file, in types that `json.dumps` takes."""
        return {
            "feedback": self.correction.to_json(),
            "measurements": dict(self.measurements),
            "pixels": self.pixels,
            "format": self.format,
            "networks": self.networks,
            "drawn": self.drawn,
            "image_sha256": self.image_sha256,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned; raises `KeyError`, `TypeError` or `ValueError` otherwise."""
        measurements = {str(name): float(value) for name, value in document["measurements"].items()}
        if not all(map(math.isfinite, measurements.values())):
            raise ValueError("measurements must be finite")
        return cls(
            Correction.from_json(document["feedback"]),
            measurements,
            int(document["pixels"]),
            str(document["format"]),
            str(document["networks"]),
            bool(document["drawn"]),
            str(document["image_sha256"]),
        )


def read_feedback(path: Path) -> tuple[CorrectedAnalysis, ...]:
    """Return the corrections of a feedback file, which `GET /v1/feedback` answers: one JSON object a line.

    Of several corrections of one image, the last counts. Raises `SettingsError` that names the first line
    that is not a correction.
    """
    found: dict[str, CorrectedAnalysis] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    corrected = CorrectedAnalysis.from_json(json.loads(line))
                except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
                    raise SettingsError(f"{path}, line {number}: not a correction.") from None
                found.pop(corrected.image_sha256, None)
                found[corrected.image_sha256] = corrected
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
        raise SettingsError(f"The feedback {path} cannot be read: {reason.lower()}.") from None
    return tuple(found.values())
