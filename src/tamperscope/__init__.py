"""Finds out whether a picture was manipulated, where, and how.

    from tamperscope import Detector

    report = Detector.load().analyze("photo.jpg")

The reading of images and the networks' runtime are imported when they are first asked for, so that importing
the package stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tamperscope._version import __version__
from tamperscope.errors import (
    BundleError,
    BusyError,
    CheckpointError,
    DamagedImageError,
    DatasetError,
    EmptyImageError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    MismatchedCheckpointError,
    MissingExtraError,
    NotReadyError,
    PhotosError,
    RefusedError,
    ScanError,
    SettingsError,
    StoreError,
    TamperscopeError,
    TrainingError,
    TunnelError,
    UnreachableError,
    UnreadableError,
    UnsafeCheckpointError,
    UnsupportedImageError,
)
from tamperscope.report import Box, BundleIdentity, ImageFacts, ManipulationType, Region, Report, Verdict

if TYPE_CHECKING:
    from tamperscope.bundle import Bundle
    from tamperscope.detector import Detector
    from tamperscope.images import Image, ImageLimits, read_image

__all__ = [
    "Box",
    "Bundle",
    "BundleError",
    "BundleIdentity",
    "BusyError",
    "CheckpointError",
    "DamagedImageError",
    "DatasetError",
    "Detector",
    "EmptyImageError",
    "Image",
    "ImageError",
    "ImageFacts",
    "ImageLimits",
    "ImageTooLargeError",
    "ImageTooSmallError",
    "ManipulationType",
    "MismatchedCheckpointError",
    "MissingExtraError",
    "NotReadyError",
    "PhotosError",
    "RefusedError",
    "Region",
    "Report",
    "ScanError",
    "SettingsError",
    "StoreError",
    "TamperscopeError",
    "TrainingError",
    "TunnelError",
    "UnreachableError",
    "UnreadableError",
    "UnsafeCheckpointError",
    "UnsupportedImageError",
    "Verdict",
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
