"""Analyse one image and compare the report with its ground truth."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tamperscope.datasets import Sample
from tamperscope.detector import Detector, suspected
from tamperscope.errors import DatasetError
from tamperscope.evaluation.corruption import Corruption, scaled
from tamperscope.evaluation.metrics import Overlap, PixelHistogram, overlap, precision_recall
from tamperscope.evidence import metadata
from tamperscope.images import Image, read_image
from tamperscope.images.kind import FileKind
from tamperscope.report import ManipulationType, Verdict


@dataclass(frozen=True)
class Measurement:
    """What was measured on one image. Pixel metrics are None for authentic images."""

    set: str
    corruption: str
    """Name of the corruption applied before the analysis; empty when there was none."""
    forged: bool
    type: ManipulationType | None
    """The true manipulation type; None when the image is authentic or the set does not name the type."""
    found_type: ManipulationType
    score: float
    """0 to 1."""
    verdict: Verdict
    pixels: int
    """Pixels of the analysed image."""
    kind: str
    """As `picture_kind`."""
    format_band: str
    size_band: str
    history: str
    """What the file's metadata say about where it comes from."""
    overlap: Overlap
    """Overlap of marked regions and hints with the ground truth, regardless of the score."""
    shown: Overlap
    """Overlap of the mask, which has no hints, with the ground truth."""
    best_f1: float | None
    average_precision: float | None
    histogram: str
    """The probabilities of all pixels, encoded by `PixelHistogram.encode`."""

    @property
    def f1(self) -> float | None:
        """F1 at the bundle's threshold."""
        return self.overlap.f1 if self.forged else None

    @property
    def shown_f1(self) -> float | None:
        """F1 of the mask."""
        return self.shown.f1 if self.forged else None

    @property
    def iou(self) -> float | None:
        """Intersection over union at the bundle's threshold."""
        return self.overlap.iou if self.forged else None

    @property
    def everything_f1(self) -> float | None:
        """F1 of a mask that marks every pixel, the baseline that a detector has to beat."""
        manipulated = self.overlap.manipulated
        return Overlap(manipulated, self.pixels, manipulated).f1 if self.forged else None

    @property
    def area_share(self) -> float:
        """Share of the pixels that the mask marks."""
        return self.shown.marked / self.pixels

    def to_json(self) -> dict[str, Any]:
        """Return this measurement in types that `json.dumps` accepts."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return the measurement that `to_json` turned into `document`."""
        kind = document["type"]
        return cls(
            **{
                **document,
                "type": None if kind is None else ManipulationType(kind),
                "found_type": ManipulationType(document["found_type"]),
                "verdict": Verdict(document["verdict"]),
                "overlap": Overlap(*document["overlap"]),
                "shown": Overlap(*document["shown"]),
            }
        )


Case = tuple[Sample, Measurement]


def measure(detector: Detector, sample: Sample, corruption: Corruption | None = None) -> Measurement:
    """Analyse a sample and compare the report with its ground truth.

    Args:
        detector: The detector to measure.
        sample: The image, and its ground truth if it is forged.
        corruption: Applied to the image before the analysis. The ground truth is scaled to match.

    Returns:
        The measurement.

    Raises:
        ImageError: The image cannot be decoded.
        OSError: A file cannot be read.
        DatasetError: The ground truth differs from the image in size, or is empty for a forged image at the
            resolution of the heatmap.
    """
    image = read_image(sample.image)
    history = _history(image)
    truth = sample.ground_truth(image.height, image.width)
    if corruption:
        image = read_image(corruption.apply(image.pixels))
        truth = scaled(truth, image.height, image.width)
    on_map = scaled(truth, *image.map_shape)
    if sample.forged and not on_map.any():
        raise DatasetError(f"The mask of {sample.image.name} marks nothing that a heatmap could show.")
    report = detector.analyze(image)
    curve = precision_recall(report.heatmap, on_map) if sample.forged else None
    kind, marked = FileKind.of(image), suspected(report, detector.bundle)
    return Measurement(
        set=sample.set,
        corruption=corruption.name if corruption else "",
        forged=sample.forged,
        type=sample.type,
        found_type=report.type,
        score=report.score,
        verdict=report.verdict,
        pixels=truth.size,
        kind=picture_kind(sample),
        format_band=kind.format_band,
        size_band=kind.size_band,
        history=history,
        overlap=_overlap(marked, truth),
        shown=_overlap(report.mask, truth),
        best_f1=curve.best_f1 if curve else None,
        average_precision=curve.average_precision if curve else None,
        histogram=PixelHistogram.of(report.heatmap, on_map).encode(),
    )


def picture_kind(sample: Sample) -> str:
    """Return what the picture shows, from a file name such as `receipt__12.jpg`; empty for other names."""
    kind, separator, _ = sample.image.stem.partition("__")
    return kind if separator else ""


def _history(image: Image) -> str:
    found = metadata.read(image)
    if found.first("EXIF", "Make", "Model"):
        return "metadata of a camera"
    return "metadata of a program" if found.first("EXIF", "Software") else "neither of these metadata"


def _overlap(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Overlap:
    return overlap(mask, truth) if truth.any() else Overlap(0, int(np.sum(mask)), 0)
