"""Bundles of tiny networks with random weights, made once for all tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tamperscope.bundle import Architecture, Bundle, Preprocessing, write_manifest
from tamperscope.network.architectures import Family, build, register
from tamperscope.network.export import write_network


class TinyNetwork(nn.Module):
    """One strided convolution with batch norm, and the heads that `outputs` asks for."""

    def __init__(self, outputs: tuple[str, ...], mask_channels: int = 1) -> None:
        super().__init__()
        self.outputs = outputs
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.mask_head = nn.Conv2d(8, mask_channels, 1) if "mask" in outputs else None
        self.type_head = nn.Linear(8, 4) if "type" in outputs else None
        self.score_head = nn.Linear(8, 1) if "score" in outputs else None

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.trunk(image)
        pooled = features.mean(dim=(2, 3))
        logits = []
        if self.mask_head is not None:
            logits.append(
                nn.functional.interpolate(self.mask_head(features), scale_factor=2, mode="bilinear")
            )
        logits += [head(pooled) for head in (self.type_head, self.score_head) if head is not None]
        return tuple(logits)


for _name, _outputs in {
    "tiny-joint": ("mask", "type", "score"),
    "tiny-segmentation": ("mask",),
    "tiny-classification": ("type",),
}.items():
    register(
        _name,
        Family(
            _outputs,
            lambda architecture, outputs=_outputs: TinyNetwork(
                outputs, architecture.classes if outputs == ("mask",) else 1
            ),
        ),
    )


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """The same network with non-trivial batch norms and logits that spread over some units, in evaluation
    mode.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif tensor.ndim == 1:
                tensor.copy_(noise * 0.3 + (1.0 if name.endswith("weight") else 0.0))
            else:
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
    return network.eval()


def tiny_bundle(folder: Path, *names: str, classes: int = 1) -> Bundle:
    folder.mkdir()
    networks = []
    for seed, name in enumerate(names):
        architecture = Architecture(f"tiny-{name}", "none", classes)
        network = randomised(build(architecture), seed)
        networks.append(write_network(network, architecture, folder, name))
    (folder / "README.md").write_text("A tiny bundle with random weights.\n")
    return write_manifest(
        folder, name="tiny", version="0.0.1", networks=networks, preprocessing=Preprocessing(multiple=2)
    )


@pytest.fixture(scope="session")
def joint_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One network with all three outputs, not calibrated."""
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "joint", "joint")


@pytest.fixture(scope="session")
def pair_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two networks, as imported checkpoints become; the mask has two channels in PyTorch."""
    return tiny_bundle(
        tmp_path_factory.mktemp("bundles") / "pair", "segmentation", "classification", classes=2
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
