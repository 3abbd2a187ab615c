"""A bundle's networks on the CPU, compiled by OpenVINO."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import openvino
from numpy.typing import NDArray

from tamperscope.bundle import Bundle, Network, Preprocessing
from tamperscope.errors import BundleError

STEP = 64
"""Inputs are padded to multiples of this: few distinct sizes, as each costs OpenVINO time and memory once."""


@dataclass(frozen=True, eq=False)
class TileOutputs:
    """What a bundle's networks say about one tile; None where no network of the bundle has that output."""

    mask: NDArray[np.float32] | None
    """(height, width), 0 to 1: probability that a pixel was manipulated."""
    type: NDArray[np.float32] | None
    """(4,), summing to 1: probability of each manipulation type, given a manipulation."""
    score: float | None
    """Uncalibrated probability, 0 to 1, that anything was manipulated at all."""


class Runtime:
    """Compiled networks that any number of threads may share; equal tiles give equal bytes.

    `threads` is how many CPU threads one call uses; None leaves it to OpenVINO. Calls from several threads
    wait for each other: one call already uses all those threads. Raises `BundleError` when OpenVINO cannot
    use a graph.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self._multiple = int(np.lcm(STEP, bundle.preprocessing.multiple))
        self._requests = {network: _compile(bundle, network, threads) for network in bundle.networks}
        self._lock = threading.Lock()

    def run(self, tile: NDArray[np.uint8]) -> TileOutputs:
        """Return what the networks say about a tile (height, width, 3), RGB, of any size."""
        height, width = tile.shape[:2]
        padded = _padded(tile, self._multiple)[np.newaxis]
        outputs: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for network, request in self._requests.items():
                request.infer([padded])
                for name in network.outputs:
                    outputs[name] = request.get_tensor(name).data[0].copy()
        mask, kinds, score = (outputs.get(name) for name in ("mask", "type", "score"))
        return TileOutputs(
            mask=None if mask is None else mask[0, :height, :width],
            type=kinds,
            score=None if score is None else float(score[0]),
        )


def _padded(tile: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """Reflect below and to the right, which adds no edge; `symmetric` has no limit on how far."""
    missing = [-size % multiple for size in tile.shape[:2]]
    return np.pad(tile, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")


def _compile(bundle: Bundle, network: Network, threads: int | None) -> openvino.InferRequest:
    # Full precision: reduced ones differ between processors, and a report must not.
    settings: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    try:
        model = core.read_model(bundle.path / network.graph_file)
        model = _taking_pixels(model, bundle.preprocessing)
        return core.compile_model(model, "CPU", settings).create_infer_request()
    except RuntimeError:
        raise BundleError(f"{bundle.path / network.graph_file} is not a graph OpenVINO can run.") from None


def _taking_pixels(model: openvino.Model, preprocessing: Preprocessing) -> openvino.Model:
    """Put conversion from (N, H, W, 3) uint8 and normalisation in front of the graph."""
    steps = openvino.preprocess.PrePostProcessor(model)
    image = steps.input()
    image.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    image.model().set_layout(openvino.Layout("NCHW"))
    (
        image.preprocess()
        .convert_element_type(openvino.Type.f32)
        .mean([255 * value for value in preprocessing.mean])
        .scale([255 * value for value in preprocessing.std])
    )
    return steps.build()
