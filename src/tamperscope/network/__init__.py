"""Network architectures, checkpoint import and ONNX export. Needs the extra `train`."""

import importlib.util

from tamperscope.errors import MissingExtraError

_NEEDED = ("torch", "torchvision", "segmentation_models_pytorch", "onnx", "onnxscript", "safetensors")

if _missing := [package for package in _NEEDED if importlib.util.find_spec(package) is None]:
    raise MissingExtraError(
        f"PyTorch networks need {', '.join(_missing)}, not installed here: pip install 'tamperscope[train]'."
    )
