"""Initialise a network from existing weights, wherever they fit.

    taken = start_from(network, architecture, Path("model/"))
    mean_with(network, architecture, Path("model/"), share=0.5)  # after training

A source is a bundle, a checkpoint of any of our networks, or weights trained on ImageNet: those of
torchvision, or of the packages that `lite` reads. The three network families share their encoder and decoder,
so each of them can start from any other.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from tamperscope.bundle import Architecture, Bundle
from tamperscope.errors import MismatchedCheckpointError
from tamperscope.network.checkpoints import Weights, read_weights
from tamperscope.network.export import read_network
from tamperscope.network.lite import as_encoder, is_lite

_SMALLEST_SHARE = 0.5
"""Share of the encoder's tensors a source must have. ResNet-50 without its last layers still has 81 %."""
_RGB = 3


def start_from(network: nn.Module, architecture: Architecture, source: Path) -> frozenset[str]:
    """Copy the weights in `source` into `network`, and return the names of the tensors that were copied.

    `source` is a bundle's folder or a checkpoint, and `architecture` describes `network`. Tensors that the
    source lacks, or that are not finite there, stay as they are. If the first convolutions have different
    numbers of channels, the RGB channels are copied.

    Raises `BundleError` or `CheckpointError` when the source cannot be read, `MismatchedCheckpointError` when
    it holds another encoder.
    """
    found = _read(source, architecture)
    tensors = found.tensors
    if is_lite(tensors):
        tensors = as_encoder(tensors, network.state_dict())
    weights = {_shared_name(name): tensor for name, tensor in tensors.items()}
    pairs = {
        name: (tensor, weights[_shared_name(name)])
        for name, tensor in network.state_dict().items()
        if _shared_name(name) in weights
    }
    fitting = {name for name, (own, other) in pairs.items() if _fits(own, other)}
    _check_encoder(network, architecture, source, found.architecture, fitting)
    for name in fitting:
        own, other = pairs[name]
        if own.ndim > 1:
            channels = min(own.shape[1], other.shape[1])
            own[:, :channels] = other[:, :channels].to(own.dtype)
        else:
            own.copy_(other)
    return frozenset(fitting)


def mean_with(network: nn.Module, architecture: Architecture, source: Path, share: float) -> None:
    """Replace the weights of `network` by a mean: `share` of them, 0 to 1, and the rest of those in `source`.

    The mean of a trained network and the one that it started from is often better than both on images unlike
    those of the training (Wortsman et al., CVPR 2022, "Robust fine-tuning of zero-shot models").

    Raises `BundleError` or `CheckpointError` when the source cannot be read, `MismatchedCheckpointError` when
    it lacks a weight of `network`.
    """
    trained = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if missing := trained.keys() - start_from(network, architecture, source):
        raise MismatchedCheckpointError(
            f"{source} is not the same network: {len(missing)} of {len(trained)} tensors do not fit."
        )
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(trained[name], share)
        else:
            tensor.copy_(trained[name])


def _read(source: Path, architecture: Architecture) -> Weights:
    if not source.is_dir():
        return read_weights(source)
    bundle = Bundle.load(source)
    same = [entry for entry in bundle.networks if entry.architecture.name == architecture.name]
    entry = (same or bundle.networks)[0]
    return Weights(read_network(bundle, entry.name).state_dict(), entry.architecture)


def _shared_name(name: str) -> str:
    """Return a tensor's name without its family's prefix. Encoder names then match ImageNet weights."""
    for prefix in ("module.", "model.", "trunk.segmentation.", "segmentation.", "encoder."):
        name = name.removeprefix(prefix)
    return name


def _in_encoder(name: str) -> bool:
    heads = (
        *("decoder.", "segmentation_head.", "type_head.", "score_head.", "mask_head.", "fc."),
        *("trunk.", "trunk_share", "blocks."),
    )
    return not _shared_name(name).startswith(heads)


def _fits(own: Tensor, other: Tensor) -> bool:
    # A variance can overflow half precision. It never recovers from infinity, and its channel stays dead.
    if not other.isfinite().all():
        return False
    if own.shape == other.shape:
        return True
    first = own.ndim == other.ndim == 4 and min(own.shape[1], other.shape[1]) == _RGB
    return first and own.shape[0] == other.shape[0] and own.shape[2:] == other.shape[2:]


def _check_encoder(
    network: nn.Module,
    architecture: Architecture,
    source: Path,
    other: Architecture | None,
    fitting: set[str],
) -> None:
    if other is not None and other.encoder != architecture.encoder:
        raise MismatchedCheckpointError(
            f"{source} has the encoder {other.encoder}, but the network to train has {architecture.encoder}; "
            f"set network.encoder={other.encoder} or start from other weights."
        )
    encoder = [name for name in network.state_dict() if _in_encoder(name)]
    found = sum(name in fitting for name in encoder)
    if found < _SMALLEST_SHARE * len(encoder):
        raise MismatchedCheckpointError(
            f"{source} does not contain the weights of a {architecture.encoder}: "
            f"{found} of its {len(encoder)} tensors fit."
        )
