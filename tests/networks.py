"""Networks with random weights for tests, and bundles of them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from tamperscope.bundle import Architecture, Bundle, Preprocessing, write_manifest
from tamperscope.network.architectures import Family, build, register
from tamperscope.network.export import write_network


class TinyNetwork(nn.Module):
    """One strided convolution with batch norm, and the heads that `outputs` asks for."""

    def __init__(self, outputs: tuple[str, ...], classes: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        heads = {"mask": nn.Conv2d(8, classes, 1), "type": nn.Linear(8, 4), "score": nn.Linear(8, 1)}
        self.heads = nn.ModuleList([heads[output] for output in outputs])

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.trunk(image)
        pooled = features.mean(dim=(2, 3))
        return tuple(
            nn.functional.interpolate(head(features), scale_factor=2, mode="bilinear")
            if isinstance(head, nn.Conv2d)
            else head(pooled)
            for head in self.heads
        )


def _register_tiny(name: str, *outputs: str) -> None:
    register(name, Family(outputs, lambda architecture: TinyNetwork(outputs, architecture.classes)))


_register_tiny("tiny-joint", "mask", "type", "score")
_register_tiny("tiny-segmentation", "mask")
_register_tiny("tiny-classification", "type")


def random_network(architecture: Architecture, seed: int = 0) -> nn.Module:
    """A network as if trained: batch norms hold statistics of their inputs, and its probabilities differ."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = build(architecture).train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
                module.weight.normal_(1, 0.2)
                module.bias.normal_(0, 0.2)
        images = torch.randn(8, 3, 64, 64)
        network(images)
        logits = network.eval()(images)
        last = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)][-1]
        if isinstance(logits, Tensor):
            gain = 2 / logits.std()
            last.bias.copy_(gain * (last.bias - logits.mean()))
            last.weight.mul_(gain)
    return network


def tiny_bundle(folder: Path, *names: str, classes: int = 1) -> Bundle:
    """A bundle of the tiny networks called `names`: joint, segmentation, classification."""
    folder.mkdir(parents=True)
    networks = []
    for seed, name in enumerate(names):
        architecture = Architecture(f"tiny-{name}", "none", classes)
        networks.append(write_network(random_network(architecture, seed), architecture, folder, name))
    (folder / "README.md").write_text("A tiny bundle with random weights.\n")
    return write_manifest(
        folder, name="tiny", version="0.0.1", networks=networks, preprocessing=Preprocessing(multiple=2)
    )
