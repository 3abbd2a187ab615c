from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tamperscope.bundle import Architecture, Bundle
from tamperscope.errors import CheckpointError, MismatchedCheckpointError
from tamperscope.network.architectures import build
from tamperscope.network.checkpoints import save_checkpoint
from tamperscope.network.start import mean_with, start_from

SEGMENTATION = Architecture("deeplabv3plus", "resnet18", 1)
CLASSIFICATION = Architecture("resnet", "resnet18", 4)
JOINT = Architecture("joint", "resnet18", 1)
FAMILIES = {architecture.name: architecture for architecture in (SEGMENTATION, CLASSIFICATION, JOINT)}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint of each family, with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, architecture in FAMILIES.items():
        torch.manual_seed(len(name))
        save_checkpoint(build(architecture), architecture, folder / f"{name}.pth")
    return {name: folder / f"{name}.pth" for name in FAMILIES}


def layer(network: nn.Module, suffix: str) -> torch.Tensor:
    return next(tensor for name, tensor in network.state_dict().items() if name.endswith(suffix))


@pytest.mark.parametrize("source", FAMILIES)
@pytest.mark.parametrize("target", FAMILIES)
def test_each_family_can_start_from_any_other(source: str, target: str, checkpoints: dict[str, Path]) -> None:
    network, origin = (
        build(FAMILIES[target]),
        torch.load(checkpoints[source], weights_only=True)["state_dict"],
    )
    taken = start_from(network, FAMILIES[target], checkpoints[source])
    deep = next(tensor for name, tensor in origin.items() if name.endswith("layer4.1.conv2.weight"))
    assert torch.equal(layer(network, "layer4.1.conv2.weight"), deep)
    assert taken <= network.state_dict().keys()
    if source == target:
        assert len(taken) == len(origin)


def test_a_mean_lies_between_the_network_and_its_start(checkpoints: dict[str, Path]) -> None:
    origin = torch.load(checkpoints["joint"], weights_only=True)["state_dict"]
    network = build(JOINT)
    trained = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    mean_with(network, JOINT, checkpoints["joint"], 0.25)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor, 0.25 * trained[name] + 0.75 * origin[name], atol=1e-6)


def test_there_is_no_mean_with_another_network(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(MismatchedCheckpointError, match=r"is not the same network: \d+ of"):
        mean_with(build(JOINT), JOINT, checkpoints["deeplabv3plus"], 0.5)


def test_the_first_convolution_shares_rgb(checkpoints: dict[str, Path]) -> None:
    network = build(JOINT)
    residual = layer(network, "encoder.conv1.weight")[:, 3:].clone()
    start_from(network, JOINT, checkpoints["deeplabv3plus"])
    rgb = torch.load(checkpoints["deeplabv3plus"], weights_only=True)["state_dict"]["encoder.conv1.weight"]
    stem = layer(network, "encoder.conv1.weight")
    assert torch.equal(stem[:, :3], rgb)
    assert torch.equal(stem[:, 3:], residual)


def test_imagenet_weights_without_the_last_layers_are_enough(tmp_path: Path) -> None:
    weights = {
        name: tensor
        for name, tensor in build(CLASSIFICATION).state_dict().items()
        if not name.startswith(("layer4", "fc"))
    }
    torch.save(weights, tmp_path / "imagenet.pth")
    assert len(start_from(build(SEGMENTATION), SEGMENTATION, tmp_path / "imagenet.pth")) == len(weights)


def test_a_variance_that_overflowed_is_left_out(tmp_path: Path) -> None:
    weights = build(CLASSIFICATION).state_dict()
    weights["bn1.running_var"][3] = float("inf")
    torch.save(weights, tmp_path / "overflowed.pth")
    network = build(CLASSIFICATION)
    taken = start_from(network, CLASSIFICATION, tmp_path / "overflowed.pth")
    assert weights.keys() - taken == {"bn1.running_var"}
    assert layer(network, "bn1.running_var").isfinite().all()


def test_training_can_start_from_the_default_model() -> None:
    bundle = Bundle.load()
    encoder = bundle.networks[0].architecture.encoder
    target = Architecture("deeplabv3plus", encoder, 1)
    taken = start_from(build(target), target, bundle.path)
    assert {"encoder.conv1.weight", "segmentation_head.0.weight"} <= taken


def test_another_encoder_is_named(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    other = Architecture("deeplabv3plus", "resnet34", 1)
    with pytest.raises(MismatchedCheckpointError, match=r"resnet18.*resnet34; set network\.encoder=resnet18"):
        start_from(build(other), other, checkpoints["joint"])
    plain = tmp_path / "plain.pth"
    torch.save(torch.load(checkpoints["joint"], weights_only=True)["state_dict"], plain)
    mobile = Architecture("deeplabv3plus", "mobilenet_v2", 1)
    with pytest.raises(
        MismatchedCheckpointError, match=r"not contain the weights of a mobilenet_v2: 0 of its"
    ):
        start_from(build(mobile), mobile, plain)


@pytest.mark.parametrize("architecture", [SEGMENTATION, CLASSIFICATION, JOINT], ids=lambda one: one.name)
def test_an_unknown_encoder_is_reported_in_one_sentence(architecture: Architecture) -> None:
    with pytest.raises(CheckpointError, match=r"no .* network with the encoder 'resnet51'"):
        build(Architecture(architecture.name, "resnet51", architecture.classes))
