"""Network architectures, checkpoint import and ONNX export. Needs the extra `train`."""
