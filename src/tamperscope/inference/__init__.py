"""Inference with a bundle: tiling, runtime, calibration. Knows nothing of training."""
