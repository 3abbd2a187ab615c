"""Write a second graph of a network that computes in 8-bit integers with the same weights file.

    network = quantise(folder, network, tiles)      # writes <network>.int8.onnx next to <network>.onnx

Post-training quantisation (Jacob et al., CVPR 2018): activations per tensor over ranges measured on photos,
weights per output channel. The graph adds only the ranges, as pairs of QuantizeLinear and DequantizeLinear,
which any ONNX runtime folds into integer kernels. The weights file does not change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
import openvino
import safetensors.numpy
from numpy.typing import NDArray
from onnx import numpy_helper

from tamperscope.bundle import Network, Preprocessing
from tamperscope.inference.tiling import STEP, TILE

_WEIGHT_LEVEL = 127
_ACTIVATION_LEVELS = 255
_EXACT = ("mask_head.",)
"""Prefixes of the convolutions that stay in floating point: the last one before a logit."""
_UNCUT = ("blocks.layers.",)
"""Prefixes of the convolutions whose input grows with the strength of the traces. Its range is not clipped.
"""


def quantise(folder: Path, network: Network, tiles: Iterable[NDArray[np.float32]]) -> Network:
    """Write the integer graph of a network in `folder`; return the manifest's updated entry.

    `tiles` are typical inputs, each (1, 3, H, W) float32, normalised. Convolutions that read the image itself
    stay in floating point. So do fixed filters, including those of a joint network's block statistics,
    because lattices are finer than 8 bits.
    """
    graph_path = folder / network.graph_file
    model = onnx.load(graph_path, load_external_data=False)
    weights = safetensors.numpy.load_file(folder / network.weights_file)
    trained = {f"{name}.float32": name for name in weights}
    picture = model.graph.input[0].name
    quantised = [
        node
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.input[0] != picture
        and node.input[1] in trained
        and not trained[node.input[1]].startswith(_EXACT)
    ]
    # Rounding commutes with taking the maximum. Rounding before the pooling makes the tensor small earlier.
    pooled = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "MaxPool"}
    activations = {
        pooled.get(node.input[0], node.input[0]): trained[node.input[1]].startswith(_UNCUT)
        for node in quantised
    }
    activations |= dict.fromkeys(_shortcuts(model), False)
    ranges = _measured_ranges(graph_path, activations, tiles)

    inserted: dict[str, list[onnx.NodeProto]] = {}
    for name, (low, high) in ranges.items():
        scale = np.float32((high - low) / _ACTIVATION_LEVELS)
        zero = np.uint8(np.rint(-low / scale))
        inserted[name] = _pair(model, name, np.array(scale), np.array(zero))
        _rename_inputs(model, name, f"{name}.int8")
    for name in dict.fromkeys(node.input[1] for node in quantised):
        weight = weights[trained[name]].astype(np.float32)
        largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
        scale = np.maximum(largest, np.finfo(np.float32).tiny) / np.float32(_WEIGHT_LEVEL)
        inserted[name] = _pair(model, name, scale, np.zeros(len(scale), np.int8), axis=0)
        _rename_inputs(model, name, f"{name}.int8")
    _insert(model, inserted)

    entry = dataclasses.replace(network, quantised=True)
    (folder / entry.quantised_graph_file).write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(folder / entry.quantised_graph_file)
    return entry


def _shortcuts(model: onnx.ModelProto) -> list[str]:
    """Return the shortcuts of residual blocks that are a convolution's result rather than an activation."""
    normalised = {node.output[0] for node in model.graph.node if node.op_type == "BatchNormalization"}
    sums = [node.input for node in model.graph.node if node.op_type == "Add"]
    return [second for first, second in sums if first in normalised and second in normalised]


def normalised_tile(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return the upper left tile of an image as a network's input, (1, 3, H, W) float32, normalised.

    `pixels` is (height, width, 3) uint8 RGB.
    """
    height, width = (min(TILE, side // STEP * STEP) for side in pixels.shape[:2])
    mean, std = (np.array(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    normalised = (pixels[:height, :width].astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[np.newaxis])


def _measured_ranges(
    graph_path: Path, uncut: Mapping[str, bool], tiles: Iterable[NDArray[np.float32]]
) -> dict[str, tuple[float, float]]:
    """Return the lower and upper end of each named tensor's range.

    `uncut` is True for each tensor whose range must not be clipped. Such a range spans the extremes over
    all tiles. The others span the means of the tiles' extremes, so that one unusual tile does not cost
    precision on all images.
    """
    core = openvino.Core()
    model = core.read_model(graph_path)
    names = list(uncut)
    model.add_outputs(names)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    lows: list[list[float]] = []
    highs: list[list[float]] = []
    for tile in tiles:
        found = compiled([tile])
        lows.append([float(found[name].min()) for name in names])
        highs.append([float(found[name].max()) for name in names])
    kept = list(uncut.values())
    low = np.where(kept, np.min(lows, axis=0), np.mean(lows, axis=0)).clip(max=0)
    high = np.where(kept, np.max(highs, axis=0), np.mean(highs, axis=0)).clip(min=1e-6)
    return dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _pair(
    model: onnx.ModelProto, name: str, scale: NDArray[np.float32], zero: NDArray[np.generic], **axis: int
) -> list[onnx.NodeProto]:
    """Return the two nodes that round the tensor `name` to integers and back, as `<name>.int8`."""
    parameters = [f"{name}.scale", f"{name}.zero"]
    for parameter, value in zip(parameters, (scale, zero), strict=True):
        model.graph.initializer.append(numpy_helper.from_array(value, parameter))
    return [
        onnx.helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}.integer"], **axis),
        onnx.helper.make_node("DequantizeLinear", [f"{name}.integer", *parameters], [f"{name}.int8"], **axis),
    ]


def _rename_inputs(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def _insert(model: onnx.ModelProto, inserted: dict[str, list[onnx.NodeProto]]) -> None:
    """Insert each pair after the node that outputs its tensor, because nodes are in order of computation."""
    nodes = list(model.graph.node)
    model.graph.ClearField("node")
    for node in nodes:
        model.graph.node.append(node)
        for output in node.output:
            model.graph.node.extend(inserted.get(output, []))
