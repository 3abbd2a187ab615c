"""A bundle's networks on the CPU, compiled by OpenVINO."""

from __future__ import annotations

import io
import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino
import PIL.Image
from numpy.typing import NDArray

from tamperscope.bundle import Bundle, Network, Preprocessing
from tamperscope.errors import BundleError
from tamperscope.inference.compiled import CompiledModels
from tamperscope.inference.tiling import STEP
from tamperscope.method import Precision

_log = logging.getLogger(__name__)

# One core for the lifetime of the process. OpenVINO gives the thread that first compiles a signal stack, and
# removes it with the core, from whichever thread destroys the core. The next signal then ends the process.
_core = openvino.Core()

_KEPT_KERNELS = 1000
"""Kernels that OpenVINO keeps, enough for about a dozen tile sizes. Preparing a size takes a fifth of a
tile's time, and keeping it 5 MB. By default OpenVINO keeps some sixty sizes.
"""


@dataclass(frozen=True, eq=False)
class TileOutputs:
    """The outputs of a bundle's networks for one tile; None for outputs that no network of the bundle has."""

    mask: NDArray[np.float32] | None
    """(height, width) float32, 0 to 1: probability that a pixel was manipulated."""
    type: NDArray[np.float32] | None
    """(4,) float32, summing to 1: probability of each manipulation type, given a manipulation."""
    score: float | None
    """Uncalibrated probability, 0 to 1, that anything was manipulated at all."""


class Runtime:
    """Compiled networks that any number of threads can share. Equal tiles have equal outputs, byte for byte.

    `threads` is the number of CPU threads that one call uses; None leaves it to OpenVINO. Calls from several
    threads wait for each other, because one call already uses all those threads. `cache` is a folder: models
    that were compiled there before are reused. With `precision` "auto", a network that has a quantised graph
    runs that one; with "f32" and "bf16" all run in floating point. Raises `BundleError` when OpenVINO cannot
    use a graph.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        cache: Path | None = None,
        precision: Precision = "auto",
    ) -> None:
        self._multiple = int(np.lcm(STEP, bundle.preprocessing.multiple))
        settings: dict[str, str | int] = {
            # Full precision unless the caller asks for less, also for the floating-point parts of an integer
            # graph: reduced precision differs between processors, and a report must not.
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_KERNELS,
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
            # OpenVINO pins its threads to the first cores, the same ones in every process.
            settings["ENABLE_CPU_PINNING"] = False
        compiled = CompiledModels(cache) if cache else None
        self._requests = {
            network: _compiled(
                bundle, _graph_file(network, precision), settings, compiled
            ).create_infer_request()
            for network in bundle.networks
        }
        self._lock = threading.Lock()

    def run(self, tile: NDArray[np.uint8]) -> TileOutputs:
        """Return the networks' outputs for a tile (height, width, 3) uint8 RGB of any size."""
        height, width = tile.shape[:2]
        outputs: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for network, request in self._requests.items():
                seen = tile if network.input_size is None else _squared(tile, network.input_size)
                request.infer([_padded(seen, self._multiple)[np.newaxis]])
                for name in network.outputs:
                    outputs[name] = request.get_tensor(name).data[0].copy()
                    if name == "mask":
                        outputs[name] = _fitted(
                            outputs[name][0, : seen.shape[0], : seen.shape[1]], height, width
                        )
        mask, kinds, score = (outputs.get(name) for name in ("mask", "type", "score"))
        return TileOutputs(
            mask=mask,
            type=kinds,
            score=None if score is None else float(score[0]),
        )


def _squared(tile: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale to a square as torchvision's `Resize` does to a picture: linearly, over all pixels it covers."""
    picture = PIL.Image.fromarray(tile).resize((side, side), PIL.Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _fitted(mask: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    if mask.shape == (height, width):
        return mask
    scaled: NDArray[np.float32] = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    return scaled


def _padded(tile: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """Pad below and to the right by reflection, which adds no edge. `symmetric` allows any padding."""
    missing = [-size % multiple for size in tile.shape[:2]]
    return np.pad(tile, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")


def _graph_file(network: Network, precision: Precision) -> str:
    return network.quantised_graph_file if network.quantised and precision == "auto" else network.graph_file


def _compiled(
    bundle: Bundle,
    graph_file: str,
    settings: dict[str, str | int],
    cache: CompiledModels | None,
) -> openvino.CompiledModel:
    if cache is None:
        return _compile(bundle, graph_file, settings)
    key = cache.key(
        bundle=bundle.identity.sha256,
        graph=graph_file,
        openvino=openvino.get_version(),
        processor=_core.get_property("CPU", "FULL_DEVICE_NAME"),
        capabilities=sorted(_core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        settings=settings,
    )
    if blob := cache.read(key):
        try:
            return _core.import_model(blob, "CPU", settings)
        except RuntimeError:
            _log.warning("OpenVINO refuses the compiled model in the cache; it is compiled again.")
    model = _compile(bundle, graph_file, settings)
    cache.write(key, _exported(model))
    return model


def _compile(bundle: Bundle, graph_file: str, settings: dict[str, str | int]) -> openvino.CompiledModel:
    try:
        model = _core.read_model(bundle.path / graph_file)
        return _core.compile_model(_taking_pixels(model, bundle.preprocessing), "CPU", settings)
    except RuntimeError:
        raise BundleError(f"{bundle.path / graph_file} is not a graph that OpenVINO can run.") from None


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
