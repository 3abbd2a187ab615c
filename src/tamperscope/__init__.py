"""Detects whether an image was manipulated, where, and how.

    from tamperscope import Detector

    report = Detector.load().analyze("photo.jpg")
    report.verdict, report.score, report.type, report.regions, report.mask

Names that need the image decoders or the networks' runtime are imported on first use, so that importing the
package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tamperscope._version import __version__
from tamperscope.errors import (
    AnalysisTimeoutError,
    ArchiveError,
    BundleError,
    BusyError,
    CheckpointError,
    DamagedImageError,
    DatabaseFullError,
    DatasetError,
    EmptyImageError,
    EmptyJobError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    JobError,
    JobTooLargeError,
    MismatchedCheckpointError,
    MissingExtraError,
    NotReadyError,
    PhotosError,
    QuotaError,
    RefusedError,
    ReusedKeyError,
    ScanError,
    SettingsError,
    StoppingError,
    StoreError,
    TamperscopeError,
    TemporaryFolderError,
    TooManyJobsError,
    TrainingError,
    TunnelError,
    UnreachableError,
    UnreadableError,
    UnsafeCheckpointError,
    UnsupportedImageError,
    WebhookError,
)
from tamperscope.report import Box, BundleIdentity, ImageFacts, ManipulationType, Region, Report, Verdict

if TYPE_CHECKING:
    from tamperscope.bundle import Bundle
    from tamperscope.detector import Detector
    from tamperscope.images import Image, ImageLimits, read_image

__all__ = [
    "AnalysisTimeoutError",
    "ArchiveError",
    "Box",
    "Bundle",
    "BundleError",
    "BundleIdentity",
    "BusyError",
    "CheckpointError",
    "DamagedImageError",
    "DatabaseFullError",
    "DatasetError",
    "Detector",
    "EmptyImageError",
    "EmptyJobError",
    "Image",
    "ImageError",
    "ImageFacts",
    "ImageLimits",
    "ImageTooLargeError",
    "ImageTooSmallError",
    "JobError",
    "JobTooLargeError",
    "ManipulationType",
    "MismatchedCheckpointError",
    "MissingExtraError",
    "NotReadyError",
    "PhotosError",
    "QuotaError",
    "RefusedError",
    "Region",
    "Report",
    "ReusedKeyError",
    "ScanError",
    "SettingsError",
    "StoppingError",
    "StoreError",
    "TamperscopeError",
    "TemporaryFolderError",
    "TooManyJobsError",
    "TrainingError",
    "TunnelError",
    "UnreachableError",
    "UnreadableError",
    "UnsafeCheckpointError",
    "UnsupportedImageError",
    "Verdict",
    "WebhookError",
    "__version__",
    "read_image",
]

_LATER = {
    "Bundle": "tamperscope.bundle",
    "Detector": "tamperscope.detector",
    "Image": "tamperscope.images",
    "ImageLimits": "tamperscope.images",
    "read_image": "tamperscope.images",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
