from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import safetensors.torch
import torch
from torch import nn

from networks import TinyNetwork, random_network
from tamperscope.bundle import Architecture, Bundle, Preprocessing, write_manifest
from tamperscope.errors import BundleError
from tamperscope.network.architectures import probabilities
from tamperscope.network.export import read_network, write_network

TINY = Architecture("tiny-joint", "none", 1)


@dataclass(frozen=True)
class Exported:
    network: nn.Module
    architecture: Architecture
    bundle: Bundle


@pytest.fixture(
    scope="module",
    params=[Architecture("deeplabv3plus", "resnet50", 1), Architecture("resnet", "resnet50", 4)],
    ids=lambda architecture: architecture.name,
)
def full_size(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A network of realistic size. Exporting it takes seconds."""
    return export(random_network(request.param, seed=1), request.param, tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(random_network(TINY), TINY, tmp_path_factory.mktemp("tiny"))


def export(network: nn.Module, architecture: Architecture, folder: Path) -> Exported:
    entry = write_network(network, architecture, folder, "network")
    bundle = write_manifest(
        folder, name="random", version="1", networks=[entry], preprocessing=Preprocessing()
    )
    return Exported(network, architecture, bundle)


def test_openvino_agrees_with_pytorch(full_size: Exported) -> None:
    entry = full_size.bundle.networks[0]
    compiled = openvino.Core().compile_model(
        full_size.bundle.path / entry.graph_file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    reference = probabilities(full_size.network, entry.outputs)
    for shape in [(1, 3, 64, 64), (2, 3, 96, 160), (1, 3, 128, 128)]:
        images = torch.randn(shape, generator=torch.Generator().manual_seed(shape[-1]))
        with torch.inference_mode():
            (expected,) = reference(images)
        found = compiled([images.numpy()])[entry.outputs[0]]
        # The tolerance allows for weights in half precision.
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=2e-3)
        assert expected.std() > 0.03


def test_a_bundle_reads_back_into_the_same_network(full_size: Exported) -> None:
    original, restored = (
        full_size.network.state_dict(),
        read_network(full_size.bundle, "network").state_dict(),
    )
    assert restored.keys() == original.keys()
    for name, tensor in original.items():
        expected = tensor.half().float() if tensor.ndim >= 2 else tensor
        assert torch.equal(restored[name], expected), name


def test_writing_what_was_read_gives_the_same_bytes(tiny: Exported, tmp_path: Path) -> None:
    again = export(read_network(tiny.bundle, "network"), TINY, tmp_path)
    assert again.bundle.identity == tiny.bundle.identity
    assert contents(again.bundle.path) == contents(tiny.bundle.path)


def test_a_bundle_holds_each_weight_once(tiny: Exported, full_size: Exported) -> None:
    for exported in (tiny, full_size):
        weights = sum(
            tensor.numel() * (2 if tensor.ndim >= 2 else tensor.element_size())
            for tensor in exported.network.state_dict().values()
        )
        # The remaining bytes are the graph and the list of names.
        assert sum(map(len, contents(exported.bundle.path).values())) < weights + 200_000
        graph = onnx.load(exported.bundle.path / "network.onnx", load_external_data=False).graph
        assert all(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer)


def test_weights_are_as_readable_as_the_graph(tiny: Exported) -> None:
    modes = {path.stat().st_mode for path in tiny.bundle.path.iterdir()}
    assert len(modes) == 1


def test_a_graph_does_not_reveal_where_it_was_made(full_size: Exported) -> None:
    graph = (full_size.bundle.path / "network.onnx").read_bytes()
    assert not re.search(rb"site-packages|\.py\b|/home|/tmp|File \"", graph)


def test_a_weight_too_large_for_half_precision_keeps_its_value(tmp_path: Path) -> None:
    network = random_network(TINY)
    assert isinstance(network, TinyNetwork)
    with torch.no_grad():
        network.trunk[0].weight[0, 0, 0, 0] = 1e6
    restored = read_network(export(network, TINY, tmp_path).bundle, "network")
    assert restored.state_dict()["trunk.0.weight"][0, 0, 0, 0] == 1e6


def test_a_fixed_filter_keeps_full_precision(tmp_path: Path) -> None:
    class Filtered(TinyNetwork):
        def __init__(self) -> None:
            super().__init__(("mask", "type", "score"), 1)
            self.register_buffer("kernels", torch.full((3, 3), 1 / 3))

    write_network(Filtered(), TINY, tmp_path, "network")
    stored = safetensors.torch.load_file(tmp_path / "network.safetensors")
    assert stored["kernels"].dtype == torch.float32


def test_exporting_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    network = random_network(TINY).train()
    before = copy.deepcopy(network.state_dict())
    write_network(network, TINY, tmp_path, "network")
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_an_unknown_network_is_named_with_the_known_ones(tiny: Exported) -> None:
    with pytest.raises(BundleError, match=r"no network 'mask'; it has network\."):
        read_network(tiny.bundle, "mask")


def test_weights_of_another_architecture_are_refused(tiny: Exported) -> None:
    other = replace(tiny.bundle.networks[0], architecture=Architecture("tiny-segmentation", "none", 1))
    with pytest.raises(BundleError, match="tiny-segmentation"):
        read_network(replace(tiny.bundle, networks=(other,)), "network")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
