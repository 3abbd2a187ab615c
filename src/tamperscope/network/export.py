"""Write a network as an ONNX graph with a separate weights file, and read it back.

    network = write_network(model, Architecture("deeplabv3plus", "resnet50", 1), folder, "segmentation")
    bundle = write_manifest(folder, name="mine", version="1.0.0", networks=[network], ...)
    model = read_network(bundle, "segmentation")

Every weight is stored once, in the safetensors file, under its PyTorch name. The graph refers to its bytes.
Nothing is folded or renamed, so further training can start from a bundle as well as from a checkpoint.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import safetensors.torch
import torch
from torch import Tensor, nn

from tamperscope.bundle import Architecture, Bundle, Network
from tamperscope.errors import BundleError
from tamperscope.network.architectures import build, outputs_of, probabilities

OPSET = 18


def write_network(network: nn.Module, architecture: Architecture, folder: Path, name: str) -> Network:
    """Write `<name>.onnx` and `<name>.safetensors` into `folder`; return their entry for the manifest.

    `network` returns logits, like `build(architecture)`, and is not modified. Equal weights give equal bytes.
    """
    outputs = outputs_of(architecture)
    entry = Network(name, architecture, outputs)
    trained = {key for key, _ in network.named_parameters()}
    weights = {key: _stored(tensor, key in trained) for key, tensor in network.state_dict().items()}
    weights_path = folder / entry.weights_file
    # save_file makes files that only their owner can read, but a server often runs as another user.
    weights_path.write_bytes(safetensors.torch.save(weights))
    model = _graph(copy.deepcopy(network).cpu().float(), outputs)
    _point_at(model, weights_path, weights)
    (folder / entry.graph_file).write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(folder / entry.graph_file)
    return entry


def read_network(bundle: Bundle, name: str) -> nn.Module:
    """Return a bundle's network in PyTorch, with its exact weights as float32, in evaluation mode.

    Raises `BundleError` when the bundle has no network of that name, or its weights belong to another
    architecture.
    """
    entry = next((network for network in bundle.networks if network.name == name), None)
    if entry is None:
        names = ", ".join(network.name for network in bundle.networks)
        raise BundleError(f"{bundle.path} has no network {name!r}; it has {names}.")
    stored = safetensors.torch.load_file(bundle.path / entry.weights_file)
    network = build(entry.architecture)
    try:
        network.load_state_dict({key: _restored(tensor) for key, tensor in stored.items()}, strict=True)
    except RuntimeError:
        raise BundleError(
            f"{bundle.path / entry.weights_file} does not contain the weights of a {entry.architecture.name} "
            "network."
        ) from None
    return network.eval()


def _stored(tensor: Tensor, trained: bool) -> Tensor:
    """Return a tensor as it is stored: trained kernels in half precision, the rest in full.

    Batch norms, biases and fixed filters do not survive half precision.
    """
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.contiguous().clone()
    narrow = trained and tensor.ndim >= 2 and bool(tensor.abs().amax() <= torch.finfo(torch.float16).max)
    return tensor.to(torch.float16 if narrow else torch.float32).contiguous().clone()


def _restored(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _graph(network: nn.Module, outputs: tuple[str, ...]) -> onnx.ModelProto:
    image = torch.zeros(2, 3, 64, 96)
    size = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        # PyTorch 2.13's exporter warns about deprecations inside PyTorch.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.onnx.export(
            probabilities(network, outputs).eval(),
            (image,),
            dynamo=True,
            dynamic_shapes=(size,),
            input_names=["image"],
            output_names=list(outputs),
            opset_version=OPSET,
            # Optimising folds batch norms into convolutions, which loses the names of the weights.
            optimize=False,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Remove what differs between machines and runs: source paths, stack traces, symbolic shapes."""
    for name in ("doc_string", "metadata_props", "producer_version"):
        model.ClearField(name)
    graph = model.graph
    graph.name = "network"
    graph.ClearField("value_info")
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for value in (*graph.input, *graph.output):
        sizes = value.type.tensor_type.shape.dim
        for size, symbol in zip(sizes, ("n", "c", "h", "w"), strict=False):
            if size.HasField("dim_param"):
                size.dim_param = symbol


def _point_at(model: onnx.ModelProto, weights_path: Path, weights: Mapping[str, Tensor]) -> None:
    """Turn each initialiser that is a weight into a reference to its bytes in the safetensors file."""
    places = _places(weights_path)
    nodes = list(model.graph.node)
    initialisers, casts = [], []
    for initialiser in model.graph.initializer:
        exported_name = initialiser.name
        name = exported_name.removeprefix("network.")
        if name not in places:
            initialisers.append(initialiser)
            continue
        narrow = weights[name].dtype == torch.float16
        data_type = onnx.TensorProto.FLOAT16 if narrow else initialiser.data_type
        initialisers.append(_reference(name, data_type, initialiser.dims, weights_path.name, *places[name]))
        used_name = f"{name}.float32" if narrow else name
        _rename_input(nodes, exported_name, used_name)
        if narrow:
            casts.append(onnx.helper.make_node("Cast", [name], [used_name], to=onnx.TensorProto.FLOAT))
    model.graph.ClearField("initializer")
    model.graph.ClearField("node")
    model.graph.initializer.extend(initialisers)
    model.graph.node.extend([*casts, *nodes])


def _reference(
    name: str, data_type: int, shape: Sequence[int], file: str, offset: int, length: int
) -> onnx.TensorProto:
    tensor = onnx.TensorProto(
        name=name, data_type=data_type, dims=shape, data_location=onnx.TensorProto.EXTERNAL
    )
    for key, value in (("location", file), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _rename_input(nodes: Sequence[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def _places(weights_path: Path) -> dict[str, tuple[int, int]]:
    """Return the offset and length in bytes of each tensor in a safetensors file.

    The file holds the header's length in 8 bytes, the header, then the data.
    """
    with weights_path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_length))
    start = 8 + header_length
    return {
        name: (start + entry["data_offsets"][0], entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
        if name != "__metadata__"
    }
