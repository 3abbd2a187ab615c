"""A bundle's network on a device of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamperscope.bundle import Bundle
from tamperscope.errors import BundleError
from tamperscope.inference.devices import Device, onnx_runtime


class OnnxNetwork:
    """One graph of a bundle, in 32-bit floating point. Not for several threads at a time.

    Raises `BundleError` when ONNX Runtime cannot use the graph on the device.
    """

    def __init__(self, bundle: Bundle, graph_file: str, device: Device, threads: int | None) -> None:
        runtime: Any = onnx_runtime()
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        # Tiles have many sizes, and DirectML takes no memory pattern at all.
        options.enable_mem_pattern = False
        options.intra_op_num_threads = threads or 0
        try:
            self._session = runtime.InferenceSession(
                str(bundle.path / graph_file), options, providers=[(device.target, dict(device.options))]
            )
        except Exception:
            # ONNX Runtime's errors have no other common base.
            raise BundleError(
                f"{bundle.path / graph_file} is not a graph that ONNX Runtime can run on {device.text}."
            ) from None
        # An error in the middle of an image must not move the rest of it to the CPU.
        self._session.disable_fallback()
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._mean = np.asarray(bundle.preprocessing.mean, np.float32) * 255
        self._std = np.asarray(bundle.preprocessing.std, np.float32) * 255

    def infer(self, pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        """Return the outputs, by name, for pixels (N, H, W, 3) uint8 RGB."""
        image = (pixels.astype(np.float32) - self._mean) / self._std
        planes = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
        found = self._session.run(self._outputs, {self._input: planes})
        return dict(zip(self._outputs, found, strict=True))
