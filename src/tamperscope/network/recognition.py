"""Recognise a network by the names and shapes of its tensors.

    architecture, tensors = recognise_segmentation(read_weights(path).tensors)

A candidate is built without memory for its weights, and must have exactly the tensors that were found. So the
encoder, the decoder and the kind of classifier need not be named, and two networks of a pair may differ in
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import torch
from torch import Tensor

from tamperscope.bundle import Architecture
from tamperscope.errors import CheckpointError
from tamperscope.network.architectures import CLASSIFIERS, DECODERS, build
from tamperscope.report import ManipulationType

Tensors = dict[str, Tensor]

# Common ones, and only those whose tensors tell them apart. Any other encoder has to be named.
_ENCODERS = (
    *("resnet50", "resnet18", "resnet34", "resnet101", "resnet152"),
    *(f"efficientnet-b{size}" for size in range(8)),
    *("resnext50_32x4d", "resnext101_32x8d", "se_resnext50_32x4d", "se_resnext101_32x4d"),
    *("mobilenet_v2", "xception", "densenet121", "densenet169", "densenet201"),
    *("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "vgg16", "vgg19"),
)
_SEGMENTATION_HEAD = "segmentation_head.0.weight"


def recognise_segmentation(tensors: Tensors, encoder: str | None = None) -> tuple[Architecture, Tensors]:
    """Return the network of segmentation_models_pytorch that has these tensors, and the tensors by its names.

    `encoder` limits the search. If no candidate fits, the architecture is the one that the network was
    probably meant to be, and building it shows what differs.
    """
    inner = _under(tensors, _SEGMENTATION_HEAD)
    # An additional output for whole images, which smp can train beside the mask.
    inner = {name: tensor for name, tensor in inner.items() if not name.startswith("classification_head.")}
    head = inner.get(_SEGMENTATION_HEAD)
    channels = head.shape[0] if head is not None and head.shape[0] in (1, 2) else 1
    encoders = (encoder,) if encoder else _ENCODERS
    for name in encoders:
        # A U-Net can have each of them.
        if not _same(_encoder(inner), _encoder(_blank(Architecture("unet", name, 1)))):
            continue
        for family in DECODERS:
            candidate = Architecture(family, name, channels)
            # DeepLab, for one, cannot have an encoder that cannot be dilated.
            with suppress(CheckpointError):
                if _same(inner, _blank(candidate), but=_SEGMENTATION_HEAD.removesuffix(".weight")):
                    return candidate, inner
        return Architecture("unet", name, channels), inner
    return Architecture("deeplabv3plus", encoders[0], channels), inner


def recognise_classification(tensors: Tensors, encoder: str | None = None) -> tuple[Architecture, Tensors]:
    """Return the classifier with four classes that has these tensors; see `recognise_segmentation`."""
    classes = len(ManipulationType)
    # The encoder inside a segmentation network has the names of a classifier.
    segments = any(name.endswith(_SEGMENTATION_HEAD) for name in tensors)
    first: tuple[Architecture, Tensors] | None = None
    for kind in CLASSIFIERS:
        inner = _with_plain_head(
            tensors if segments else _under(tensors, kind.landmark), kind.head, kind.linear
        )
        for name in (encoder,) if encoder else kind.encoders:
            if name not in kind.encoders:
                continue
            candidate = Architecture(kind.family, name, classes)
            first = first or (candidate, inner)
            if kind.landmark in inner and _same(inner, _blank(candidate), but=kind.linear):
                return candidate, inner
    if first is None:
        known = ", ".join(name for kind in CLASSIFIERS for name in kind.encoders)
        raise CheckpointError(f"There is no classifier {encoder!r}; choose one of {known}.")
    return first


def _under(tensors: Tensors, landmark: str) -> Tensors:
    """Remove the prefix that the landmark has, and omit tensors without it, such as losses and metrics."""
    holders = [name for name in tensors if name == landmark or name.endswith(f".{landmark}")]
    prefix = min(holders, key=len, default=landmark).removesuffix(landmark)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _with_plain_head(tensors: Tensors, head: str, linear: str) -> Tensors:
    """Rename the last layer to `linear` if it is the only one of the head: dropout has no tensors."""
    below = [name for name in tensors if name.startswith(f"{head}.")]
    weights = [name for name in below if name.endswith("weight")]
    if len(weights) != 1:
        return tensors
    found = weights[0].removesuffix("weight")
    renamed = {name: name.replace(found, f"{linear}.", 1) for name in below}
    return {renamed.get(name, name): tensor for name, tensor in tensors.items()}


def _blank(architecture: Architecture) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        return build(architecture).state_dict()


def _encoder(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")}


def _same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], but: str = " ") -> bool:
    """Return whether both have the same tensors, whatever the shapes of the layer `but`."""

    def shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size | None]:
        # Files older than PyTorch 0.4.1 lack these counters, which only training uses.
        kept = (name for name in tensors if not name.endswith("num_batches_tracked"))
        return {name: None if name.startswith(f"{but}.") else tensors[name].shape for name in kept}

    return shapes(found) == shapes(expected)
