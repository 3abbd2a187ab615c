"""A second graph of a network that computes in 8-bit integers, with the same weights file.

    network = quantise(folder, network, tiles)      # writes <network>.int8.onnx beside <network>.onnx

Post-training quantisation (Jacob et al., CVPR 2018): activations per tensor over ranges measured on photos,
weights per output channel. The graph holds the ranges alone, as pairs of QuantizeLinear and DequantizeLinear,
which any ONNX runtime folds into integer kernels; every weight stays where it was.
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
"""Weights of convolutions that stay in floating point: the last one before a logit."""
_UNCUT = ("blocks.layers.",)
"""Weights of convolutions whose input is the larger the more there is to see: its largest values are kept."""


def quantise(folder: Path, network: Network, tiles: Iterable[NDArray[np.float32]]) -> Network:
    """Write the integer graph of a network in `folder`; return the manifest's entry that says so.

    `tiles` are typical inputs, each (1, 3, H, W), normalised. What reads the picture itself stays in
    floating point, and so do fixed filters, with the statistics that a joint network makes of blocks:
    lattices are finer than 8 bits.
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
    # What is the largest does not depend on when it is rounded, and integers are the sooner small.
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
    """Return what residual blocks add that is no activation but a convolution's result of its own."""
    normalised = {node.output[0] for node in model.graph.node if node.op_type == "BatchNormalization"}
    sums = [node.input for node in model.graph.node if node.op_type == "Add"]
    return [second for first, second in sums if first in normalised and second in normalised]


def normalised_tile(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return the upper left tile of a picture (height, width, 3; RGB) as a network takes it: (1, 3, H, W)."""
    height, width = (min(TILE, side // STEP * STEP) for side in pixels.shape[:2])
    mean, std = (np.array(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    normalised = (pixels[:height, :width].astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[np.newaxis])


def _measured_ranges(
    graph_path: Path, uncut: Mapping[str, bool], tiles: Iterable[NDArray[np.float32]]
) -> dict[str, tuple[float, float]]:
    """Return low and high of each named tensor: the extremes over tiles of those that are not to be cut, for
    the others their means, for one odd tile must not cost everybody precision.
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
    """Put each pair behind the node that gives its tensor: a graph's nodes are in the order of computing."""
    nodes = list(model.graph.node)
    model.graph.ClearField("node")
    for node in nodes:
        model.graph.node.append(node)
        for output in node.output:
            model.graph.node.extend(inserted.get(output, []))
