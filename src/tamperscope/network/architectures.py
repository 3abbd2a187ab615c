"""The networks a bundle can hold, by name.

    network = build(Architecture("deeplabv3plus", encoder="resnet50", classes=1))

A family is a name, the outputs its networks give, and a function that builds one with random weights.
Networks give logits; `probabilities` wraps one so that it gives what a bundle's graph promises.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tamperscope.bundle import OUTPUTS, Architecture
from tamperscope.errors import CheckpointError
from tamperscope.network._torchvision import smp, torchvision
from tamperscope.network.joint import JointNetwork


@dataclass(frozen=True)
class Family:
    """All networks of one design, whatever their encoder and number of classes."""

    outputs: tuple[str, ...]
    """Which of `mask`, `type` and `score` a forward pass gives, in this order."""
    build: Callable[[Architecture], nn.Module]
    """Makes a network with random weights; its forward takes (N, 3, H, W) and gives a logit tensor per
    output.
    """


def segmentation_network(encoder: str = "resnet50", out_channels: int = 1) -> nn.Module:
    """Return DeepLabV3+ (Chen et al., ECCV 2018) with random weights: logits (N, out_channels, H, W)."""
    network: nn.Module = smp.DeepLabV3Plus(encoder, encoder_weights=None, classes=out_channels)
    return network


def classification_network(classes: int = 4, encoder: str = "resnet50") -> nn.Module:
    """Return a ResNet (He et al., CVPR 2016) with random weights: logits (N, classes).

    Raises ValueError when `encoder` is none of torchvision's residual networks.
    """
    known = torchvision.models.list_models(torchvision.models, include=("resn*", "wide_resnet*"))
    if encoder not in known:
        raise ValueError(f"it is none of {', '.join(known)}")
    network: nn.Module = torchvision.models.get_model(encoder, weights=None, num_classes=classes)
    return network


_FAMILIES: dict[str, Family] = {}


def register(name: str, family: Family) -> None:
    """Make `family` known to `build` under `name`."""
    _FAMILIES[name] = family


def outputs_of(architecture: Architecture) -> tuple[str, ...]:
    """Return which of `mask`, `type` and `score` a network of this architecture gives, in its order."""
    return _family(architecture.name).outputs


def build(architecture: Architecture) -> nn.Module:
    """Return the network an architecture describes, with random weights, in training mode.

    Raises `CheckpointError` when its family or encoder is unknown, or the encoder does not suit the family.
    """
    family = _family(architecture.name)
    try:
        return family.build(architecture)
    # What segmentation_models_pytorch raises for an unknown encoder, and for one it cannot dilate.
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"There is no {architecture.name} network with the encoder {architecture.encoder!r}: "
            f"{_shortened(str(error.args[0]))}"
        ) from None


def probabilities(network: nn.Module, outputs: tuple[str, ...]) -> nn.Module:
    """Return a network that gives, as a tuple in the order of `outputs`, the probabilities a bundle promises.

    A mask of one channel is a sigmoid's, one of two channels a softmax's with the second as "manipulated".
    """
    return _Probabilities(network, outputs)


def _family(name: str) -> Family:
    if name in _FAMILIES:
        return _FAMILIES[name]
    close = difflib.get_close_matches(name, _FAMILIES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(_FAMILIES))}."
    raise CheckpointError(f"There is no network called {name!r}; {hint}")


def _shortened(reason: str, length: int = 240) -> str:
    """The libraries list every encoder they know, which is hundreds."""
    return reason if len(reason) <= length else f"{reason[:length]}..."


class _Probabilities(nn.Module):
    def __init__(self, network: nn.Module, outputs: tuple[str, ...]) -> None:
        super().__init__()
        if not set(outputs) <= set(OUTPUTS):
            raise ValueError(f"outputs must be among {OUTPUTS}, not {outputs}")
        self.network = network
        self.outputs = outputs

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        logits = self.network(image)
        if isinstance(logits, Tensor):
            logits = (logits,)
        return tuple(_normalise(name, tensor) for name, tensor in zip(self.outputs, logits, strict=True))


def _normalise(output: str, logits: Tensor) -> Tensor:
    if output == "type":
        return logits.softmax(dim=1)
    if output == "mask" and logits.shape[1] == 2:
        return logits.softmax(dim=1)[:, 1:]
    return torch.sigmoid(logits)


register(
    "deeplabv3plus",
    Family(("mask",), lambda architecture: segmentation_network(architecture.encoder, architecture.classes)),
)
register(
    "resnet",
    Family(
        ("type",), lambda architecture: classification_network(architecture.classes, architecture.encoder)
    ),
)
register("joint", Family(("mask", "type", "score"), lambda architecture: JointNetwork(architecture.encoder)))
