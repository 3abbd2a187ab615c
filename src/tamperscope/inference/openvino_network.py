"""A bundle's network on a device of OpenVINO."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping

import numpy as np
import openvino
from numpy.typing import NDArray

from tamperscope.bundle import Bundle, Preprocessing
from tamperscope.errors import BundleError
from tamperscope.inference.compiled import CompiledModels
from tamperscope.inference.devices import Device, core
from tamperscope.method import Precision

_log = logging.getLogger(__name__)

_KEPT_KERNELS = 400
"""Kernels that OpenVINO keeps, enough for about five tile sizes: those of one camera's photos. Preparing a
size takes a fifth of a tile's time, and keeping it 5 MB. By default OpenVINO keeps some sixty sizes.
"""

_KEPT_SIZES = 8
"""Sizes of input for which an NPU keeps a compiled network. It takes no other sizes."""


class OpenVinoNetwork:
    """One graph of a bundle. Not for several threads at a time.

    `cache` holds networks compiled for the CPU. Raises `BundleError` when OpenVINO cannot use the graph on
    the device.
    """

    def __init__(
        self,
        bundle: Bundle,
        graph_file: str,
        device: Device,
        *,
        precision: Precision,
        threads: int | None,
        cache: CompiledModels | None,
    ) -> None:
        self._bundle, self._graph_file, self._device = bundle, graph_file, device
        self._settings = _settings(device, precision, threads)
        self._sizes: dict[tuple[int, ...], openvino.InferRequest] = {}
        self._any_size = None
        if not device.takes_one_size:
            self._any_size = self._compiled(cache).create_infer_request()

    def infer(self, pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        """Return the outputs, by name, for pixels (N, H, W, 3) uint8 RGB; valid until the next call."""
        request = self._any_size or self._of_size(pixels.shape)
        request.infer([pixels])
        return {
            name: request.get_tensor(name).data
            for output in request.model_outputs
            for name in output.get_names()
        }

    def _of_size(self, shape: tuple[int, ...]) -> openvino.InferRequest:
        request = self._sizes.pop(shape, None) or self._compile(shape).create_infer_request()
        self._sizes[shape] = request
        if len(self._sizes) > _KEPT_SIZES:
            # The one that was not used for the longest time.
            del self._sizes[next(iter(self._sizes))]
        return request

    def _compiled(self, cache: CompiledModels | None) -> openvino.CompiledModel:
        if cache is None or not self._device.is_cpu:
            return self._compile()
        target = self._device.target
        key = cache.key(
            bundle=self._bundle.identity.sha256,
            graph=self._graph_file,
            openvino=openvino.get_version(),
            processor=core.get_property(target, "FULL_DEVICE_NAME"),
            capabilities=sorted(core.get_property(target, "OPTIMIZATION_CAPABILITIES")),
            settings=self._settings,
        )
        if blob := cache.read(key):
            try:
                return core.import_model(blob, target, self._settings)
            except RuntimeError:
                _log.warning("OpenVINO refuses the compiled model in the cache; it is compiled again.")
        model = self._compile()
        cache.write(key, _exported(model))
        return model

    def _compile(self, shape: tuple[int, ...] | None = None) -> openvino.CompiledModel:
        path = self._bundle.path / self._graph_file
        try:
            model = _taking_pixels(core.read_model(path), self._bundle.preprocessing)
            if shape:
                model.reshape(shape)
            return core.compile_model(model, self._device.target, self._settings)
        except RuntimeError:
            where = "" if self._device.is_cpu else f" on {self._device.text}"
            raise BundleError(f"{path} is not a graph that OpenVINO can run{where}.") from None


def _settings(device: Device, precision: Precision, threads: int | None) -> dict[str, str | int]:
    settings: dict[str, str | int] = {
        # Full precision unless the caller asks for less, also for the floating-point parts of an integer
        # graph: reduced precision differs between processors, and a report must not.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    if not device.is_cpu:
        return settings
    settings["CPU_RUNTIME_CACHE_CAPACITY"] = _KEPT_KERNELS
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
        # OpenVINO pins its threads to the first cores, the same ones in every process.
        settings["ENABLE_CPU_PINNING"] = False
    return settings


def _exported(model: openvino.CompiledModel) -> bytes:
    blob = io.BytesIO()
    model.export_model(blob)
    return blob.getvalue()


def _taking_pixels(model: openvino.Model, preprocessing: Preprocessing) -> openvino.Model:
    """Return the graph with conversion from (N, H, W, 3) uint8 and normalisation in front of it."""
    steps = openvino.preprocess.PrePostProcessor(model)
    image = steps.input()
    image.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    image.model().set_layout(openvino.Layout("NCHW"))
    # The layout is converted first, for speed: three interleaved channels do not fill a vector.
    (
        image.preprocess()
        .convert_layout(openvino.Layout("NCHW"))
        .convert_element_type(openvino.Type.f32)
        .mean([255 * value for value in preprocessing.mean])
        .scale([255 * value for value in preprocessing.std])
    )
    return steps.build()
