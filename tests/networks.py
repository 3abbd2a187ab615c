"""Networks with random weights, and bundles of them, for tests."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from tamperscope.bundle import Architecture, Bundle, Preprocessing, write_manifest
from tamperscope.network.architectures import Family, build, register
from tamperscope.network.export import write_network

# The exporter writes megabytes of traces to this logger, and pytest would keep every line.
logging.getLogger("torch.__trace").propagate = False


class TinyNetwork(nn.Module):
    """One strided convolution with batch norm, and one head for each of `outputs`."""

    def __init__(self, outputs: tuple[str, ...], classes: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        heads = {"mask": nn.Conv2d(8, classes, 1), "type": nn.Linear(8, 4), "score": nn.Linear(8, 1)}
        self.heads = nn.ModuleList([heads[output] for output in outputs])
        for head in self.heads:
            nn.init.normal_(head.weight, std=1.5)

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
    """Return a network in evaluation mode with non-trivial batch norms and varied probabilities."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = build(architecture).eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.normal_(1, 0.1)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.num_batches_tracked.fill_(1000)
        # Untrained logits lie close together, so the last layer is scaled until they spread by 0.5.
        logits = network(torch.randn(8, 3, 64, 64) * torch.linspace(0.2, 2, 8).view(8, 1, 1, 1))
        if isinstance(logits, Tensor):
            last = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)][-1]
            gain = 0.5 / logits.std()
            last.bias.copy_(gain * (last.bias - logits.mean()))
            last.weight.mul_(gain)
    return network


def tiny_bundle(folder: Path, *names: str, classes: int = 1) -> Bundle:
    """Return a bundle of the tiny networks `names`: joint, segmentation, classification."""
    folder.mkdir(parents=True)
    networks = []
    for seed, name in enumerate(names):
        architecture = Architecture(f"tiny-{name}", "none", classes)
        networks.append(write_network(random_network(architecture, seed), architecture, folder, name))
    (folder / "README.md").write_text("A tiny bundle with random weights.\n")
    return write_manifest(
        folder, name="tiny", version="0.0.1", networks=networks, preprocessing=Preprocessing(multiple=2)
    )
