"""The networks a bundle can hold, by name.

    network = build(Architecture("deeplabv3plus", encoder="resnet50", classes=1))

A family has a name, the outputs of its networks, and a function that builds a network with random weights.
Networks return logits. `probabilities` wraps a network so that it returns the probabilities that a bundle's
graph is specified to return.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tamperscope.bundle import OUTPUTS, Architecture
from tamperscope.errors import CheckpointError
from tamperscope.network._torchvision import smp, smp_efficientnet, torchvision
from tamperscope.network.joint import JointNetwork


@dataclass(frozen=True)
class Family:
    """All networks of one design, whatever their encoder and number of classes."""

    outputs: tuple[str, ...]
    """Those of `mask`, `type` and `score` that a forward pass returns, in this order."""
    build: Callable[[Architecture], nn.Module]
    """Builds a network with random weights. Its forward pass takes (N, 3, H, W) and returns a logit tensor
    per output.
    """


DECODERS = {
    "deeplabv3plus": "DeepLabV3Plus",
    "deeplabv3": "DeepLabV3",
    "unet": "Unet",
    "unetplusplus": "UnetPlusPlus",
    "fpn": "FPN",
    "linknet": "Linknet",
    "manet": "MAnet",
}
"""Families of segmentation networks, and the class of segmentation_models_pytorch that builds each.

PSPNet and UPerNet are missing: they pool to a fixed grid, and their ONNX graphs do so for one size only.
"""


@dataclass(frozen=True)
class Classifier:
    """Classification networks whose tensors have the same names."""

    family: str
    encoders: tuple[str, ...]
    landmark: str
    """A tensor that all of them have."""
    head: str
    """The module that replaces the original one when such a network is trained for other classes."""
    linear: str
    """The last linear layer, where the library itself has it."""


CLASSIFIERS = (
    Classifier(
        "resnet",
        (
            *("resnet50", "resnet18", "resnet34", "resnet101", "resnet152"),
            *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
            *("wide_resnet50_2", "wide_resnet101_2"),
        ),
        landmark="layer1.0.conv1.weight",
        head="fc",
        linear="fc",
    ),
    Classifier(
        "efficientnet",
        tuple(f"efficientnet_b{size}" for size in range(8)),
        landmark="features.0.0.weight",
        head="classifier",
        linear="classifier.1",
    ),
    # The names of the package efficientnet-pytorch, which the original project installs.
    Classifier(
        "efficientnet",
        tuple(f"efficientnet-b{size}" for size in range(8)),
        landmark="_conv_stem.weight",
        head="_fc",
        linear="_fc",
    ),
)


def segmentation_network(
    encoder: str = "resnet50", out_channels: int = 1, family: str = "deeplabv3plus"
) -> nn.Module:
    """Return a network of `DECODERS` with random weights: logits (N, out_channels, H, W).

    The usual one is DeepLabV3+ (Chen et al., ECCV 2018).
    """
    network: nn.Module = getattr(smp, DECODERS[family])(encoder, encoder_weights=None, classes=out_channels)
    return network


def classification_network(classes: int = 4, encoder: str = "resnet50") -> nn.Module:
    """Return a network of `CLASSIFIERS` with random weights: logits (N, classes).

    These are residual networks (He et al., CVPR 2016) and EfficientNets (Tan and Le, ICML 2019). Raises
    `ValueError` when `encoder` is none of them.
    """
    known = [name for kind in CLASSIFIERS for name in kind.encoders]
    if encoder not in known:
        raise ValueError(f"choose one of {', '.join(known)}")
    network: nn.Module
    if encoder.startswith("efficientnet-"):
        blocks, parameters = smp_efficientnet.get_model_params(encoder, {"num_classes": classes})
        network = smp_efficientnet.EfficientNet(blocks, parameters)
    else:
        network = torchvision.models.get_model(encoder, weights=None, num_classes=classes)
    return network


_FAMILIES: dict[str, Family] = {}


def register(name: str, family: Family) -> None:
    """Register `family` under `name` for `build`."""
    _FAMILIES[name] = family


def outputs_of(architecture: Architecture) -> tuple[str, ...]:
    """Return the outputs of a network of this architecture, in order: those of `mask`, `type` and `score`."""
    return _family(architecture.name).outputs


def build(architecture: Architecture) -> nn.Module:
    """Return a network of the given architecture, with random weights, in training mode.

    Raises `CheckpointError` when its family or encoder is unknown, or the family does not support the
    encoder.
    """
    family = _family(architecture.name)
    try:
        return family.build(architecture)
    # segmentation_models_pytorch raises these for an unknown encoder, and for one it cannot dilate.
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"There is no {architecture.name} network with the encoder {architecture.encoder!r}: "
            f"{_shortened(str(error.args[0]))}"
        ) from None


def probabilities(network: nn.Module, outputs: tuple[str, ...]) -> nn.Module:
    """Wrap a network so that it returns probabilities, as a tuple in the order of `outputs`.

    A mask of one channel goes through a sigmoid. A mask of two channels goes through a softmax, and its
    second channel means "manipulated".
    """
    return _Probabilities(network, outputs)


def _family(name: str) -> Family:
    if name in _FAMILIES:
        return _FAMILIES[name]
    close = difflib.get_close_matches(name, _FAMILIES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(sorted(_FAMILIES))}."
    raise CheckpointError(f"Unknown network {name!r}; {hint}")


def _shortened(reason: str, length: int = 240) -> str:
    """Shorten a library's message, which lists all of its hundreds of encoders."""
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


def _segmentation_family(name: str) -> Family:
    return Family(("mask",), lambda its: segmentation_network(its.encoder, its.classes, name))


for _name in DECODERS:
    register(_name, _segmentation_family(_name))
for _name in {kind.family for kind in CLASSIFIERS}:
    register(_name, Family(("type",), lambda its: classification_network(its.classes, its.encoder)))
register("joint", Family(("mask", "type", "score"), lambda architecture: JointNetwork(architecture.encoder)))
