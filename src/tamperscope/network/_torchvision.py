"""The only module that imports torchvision and segmentation_models_pytorch.

PyPI has no CPU build of torchvision. With a CPU-only PyTorch its compiled operators do not load, and
`import torchvision` fails with "operator torchvision::nms does not exist", although the networks and
transforms do not use them. Declaring the two operators that the import looks up makes the Python parts
usable.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_SIGNATURE = "(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor"


def _compiled_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for library in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
        except OSError:
            continue
        return True
    return False


def _declare_missing_operators() -> torch.library.Library:
    declarations = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            declarations.define(name + _SIGNATURE)  # type: ignore[no-untyped-call]
    return declarations


if not _compiled_operators_load():
    # The declarations last as long as this object.
    _declarations = _declare_missing_operators()

import segmentation_models_pytorch as smp  # noqa: E402
import torchvision  # noqa: E402
from segmentation_models_pytorch.encoders import _efficientnet as smp_efficientnet  # noqa: E402

__all__ = ["smp", "smp_efficientnet", "torchvision"]
