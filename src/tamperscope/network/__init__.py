"""Network architectures, checkpoint import and ONNX export. Needs the extra `train`."""

from tamperscope._extra import require

require(
    "Working with PyTorch networks",
    ("torch", "torchvision", "segmentation_models_pytorch", "onnx", "onnxscript", "safetensors"),
    extra="train",
)
