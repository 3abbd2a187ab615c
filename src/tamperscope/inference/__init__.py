"""Inference with a bundle: tiling, runtime and regions. Independent of training."""
