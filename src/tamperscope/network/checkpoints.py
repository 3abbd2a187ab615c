"""Turn a user's pair of checkpoints into a bundle.

    import_checkpoints(Path("deeplab.pth"), Path("resnet.pth"), out=Path("model-mine"))

A checkpoint written by `save_checkpoint` names its architecture. Any other is assumed to have the expected
architecture.

Files are read without running code stored in them. Weights are found wherever training scripts put them: at
the top level, or under `state_dict`, `model_state_dict` or `model`, with any prefix (`module.` of
DataParallel, `model.` of Lightning...), in single or half precision.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from tamperscope.bundle import CARD, MANIFEST, Architecture, Bundle, Preprocessing, write_manifest
from tamperscope.errors import (
    BundleError,
    CheckpointError,
    MismatchedCheckpointError,
    UnsafeCheckpointError,
)
from tamperscope.network.architectures import build
from tamperscope.network.export import write_network
from tamperscope.report import ManipulationType

_WRAPPINGS = ("state_dict", "model_state_dict", "model")


def import_checkpoints(
    segmentation: Path,
    classification: Path,
    out: Path,
    *,
    overwrite: bool = False,
    preprocessing: Preprocessing = Preprocessing(),  # noqa: B008  # frozen
    encoder: str = "resnet50",
    version: str = "1.0.0",
) -> Bundle:
    """Write the bundle `out` from a DeepLabV3+ and a ResNet checkpoint. Serving needs both.

    `out` is written atomically: a failed import leaves nothing behind.

    Args:
        segmentation: Checkpoint of the DeepLabV3+.
        classification: Checkpoint of the ResNet.
        out: Folder of the new bundle.
        overwrite: Whether to replace an existing bundle in `out`. Anything else there is never replaced.
        preprocessing: Normalisation that both networks were trained with.
        encoder: Encoder of a network whose checkpoint does not name it.
        version: Version of the bundle.

    Returns:
        The bundle in `out`.

    Raises:
        CheckpointError: A file is damaged.
        UnsafeCheckpointError: Reading a file would run code.
        MismatchedCheckpointError: A file holds another network.
        BundleError: `out` already exists and may not be replaced.
    """
    _refuse_to_replace(out, overwrite)
    networks = {
        "segmentation": read_segmentation(segmentation, encoder),
        "classification": read_classification(classification, encoder),
    }
    partial, retired = (out.parent / f".{out.name}-{uuid.uuid4().hex[:8]}" for _ in range(2))
    partial.mkdir(parents=True)
    try:
        entries = [
            write_network(found.network, found.architecture, partial, name)
            for name, found in networks.items()
        ]
        (partial / CARD).write_text(_card(networks.values(), preprocessing), encoding="utf-8", newline="\n")
        bundle = write_manifest(
            partial, name="imported-pair", version=version, networks=entries, preprocessing=preprocessing
        )
        if out.exists():
            out.rename(retired)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(retired, ignore_errors=True)
    return dataclasses.replace(bundle, path=out)


def save_checkpoint(network: nn.Module, architecture: Architecture, path: Path) -> None:
    """Write a network's weights and its architecture to `path`, atomically."""
    partial = path.with_name(f".{path.name}")
    torch.save(
        {"architecture": dataclasses.asdict(architecture), "state_dict": network.state_dict()}, partial
    )
    partial.replace(path)


@dataclass(frozen=True, eq=False)
class ReadCheckpoint:
    """A network with the weights of a checkpoint, and the path of the checkpoint."""

    network: nn.Module
    architecture: Architecture
    path: Path


def read_segmentation(path: Path, encoder: str = "resnet50") -> ReadCheckpoint:
    """Read a DeepLabV3+ with 1 or 2 mask channels (segmentation_models_pytorch).

    `encoder` is used when the checkpoint does not name its encoder. Raises what `read_weights` raises, and
    `MismatchedCheckpointError` when the file holds another network.
    """
    found = read_weights(path)
    encoder = found.architecture.encoder if found.architecture else encoder
    weights = _under_landmark(found.tensors, "segmentation_head.0.weight")
    head = weights.get("segmentation_head.0.weight")
    channels = head.shape[0] if head is not None and head.shape[0] in (1, 2) else 1
    expected = f"a DeepLabV3+ (segmentation_models_pytorch) with a {encoder} encoder and 1 or 2 mask channels"
    return _fitted(path, weights, Architecture("deeplabv3plus", encoder, channels), expected)


def read_classification(path: Path, encoder: str = "resnet50") -> ReadCheckpoint:
    """Read a ResNet with four classes (torchvision). For `encoder` and errors see `read_segmentation`."""
    found = read_weights(path)
    encoder = found.architecture.encoder if found.architecture else encoder
    weights = _under_landmark(found.tensors, "fc.weight")
    classes = len(ManipulationType)
    expected = f"a {encoder} (torchvision) with {classes} classes"
    return _fitted(path, weights, Architecture("resnet", encoder, classes), expected)


@dataclass(frozen=True, eq=False)
class Weights:
    """The contents of a checkpoint."""

    tensors: dict[str, Tensor]
    """By name, as stored in the file."""
    architecture: Architecture | None
    """None unless the file was written by `save_checkpoint`."""


def read_weights(path: Path) -> Weights:
    """Return the weights in a .pth, .pt, .ckpt or .safetensors file, without running code in it.

    Raises `CheckpointError` when the file is damaged or contains no weights, `UnsafeCheckpointError` when
    reading it would run code.
    """
    try:
        if path.stat().st_size == 0:
            raise CheckpointError(f"{path} is empty.")
        document = safetensors.torch.load_file(path) if path.suffix == ".safetensors" else _load(path)
    except SafetensorError:
        raise CheckpointError(f"{path} is damaged or not a safetensors file.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or 'damaged'}.") from None
    weights = _unwrapped(document)
    if not weights:
        raise CheckpointError(f"{path} contains no weights; found: {_some(_names(document), 'nothing')}.")
    return Weights(weights, _noted_architecture(document))


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch raises the same exception for "runs code" and for "not a pickle". Only its text differs.
        if "global" in str(error).lower().partition("weightsunpickler error:")[2]:
            raise UnsafeCheckpointError(
                f"{path} contains Python objects in addition to weights, and reading those can run any code. "
                "Save it again where it was trained: torch.save(model.state_dict(), 'weights.pth')."
            ) from None
        raise CheckpointError(f"{path} is damaged or not a PyTorch checkpoint.") from None
    except OSError:
        raise
    except Exception:
        # A damaged archive can raise any exception, depending on where it is damaged.
        raise CheckpointError(f"{path} is damaged or not a PyTorch checkpoint.") from None


def _noted_architecture(document: Mapping[str, Any]) -> Architecture | None:
    noted = document.get("architecture")
    if not isinstance(noted, Mapping) or noted.keys() != {"name", "encoder", "classes"}:
        return None
    return Architecture(str(noted["name"]), str(noted["encoder"]), int(noted["classes"]))


def _unwrapped(document: Any) -> dict[str, Tensor]:
    while isinstance(document, Mapping):
        inner = next((document[key] for key in _WRAPPINGS if isinstance(document.get(key), Mapping)), None)
        if inner is None:
            return {str(name): value for name, value in document.items() if isinstance(value, Tensor)}
        document = inner
    return {}


def _under_landmark(weights: dict[str, Tensor], landmark: str) -> dict[str, Tensor]:
    """Remove the prefix that the landmark has, and omit tensors without it, such as losses and metrics."""
    holders = [name for name in weights if name == landmark or name.endswith(f".{landmark}")]
    prefix = min(holders, key=len, default=landmark).removesuffix(landmark)
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _fitted(
    path: Path, weights: dict[str, Tensor], architecture: Architecture, expected: str
) -> ReadCheckpoint:
    network = build(architecture)
    wanted = network.state_dict()
    # Files older than PyTorch 0.4.1 lack these counters, which only training uses.
    missing = [name for name in wanted if name not in weights and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in weights if name not in wanted]
    reshaped = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if missing or unexpected or reshaped:
        differences = (("missing", missing), ("unexpected", unexpected), ("shapes", reshaped))
        details = "; ".join(f"{what}: {_some(names)}" for what, names in differences if names)
        raise MismatchedCheckpointError(
            f"{path} does not contain {expected}, but {_description(weights, architecture)} ({details})."
        )
    if broken := [name for name, tensor in weights.items() if not tensor.isfinite().all()]:
        raise CheckpointError(
            f"{path} contains values that are not finite in {_some(broken)}. Did training diverge?"
        )
    network.load_state_dict(weights)
    return ReadCheckpoint(network.eval(), architecture, path)


def _description(weights: Mapping[str, Tensor], expected: Architecture) -> str:
    """Describe the network that a mismatched file seems to contain, and the likely mistake."""
    bare = {name.removeprefix("module.").removeprefix("model."): tensor for name, tensor in weights.items()}
    head = bare.get("segmentation_head.0.weight")
    if head is not None:
        swapped = ": were the two checkpoints swapped?" if expected.name == "resnet" else ""
        return f"{_decoder(bare)} with {_trunk(bare, 'encoder.')} and {head.shape[0]} mask channels{swapped}"
    if any(name.startswith("backbone.") for name in bare) and any(
        name.startswith("classifier.") for name in bare
    ):
        return f"torchvision's own segmentation network with {_trunk(bare, 'backbone.')}"
    fully_connected = bare.get("fc.weight")
    if fully_connected is not None:
        swapped = ": were the two checkpoints swapped?" if expected.name == "deeplabv3plus" else ""
        imagenet = ", as trained on ImageNet" if fully_connected.shape[0] == 1000 else ""
        return f"{_trunk(bare, '')} with {fully_connected.shape[0]} classes{imagenet}{swapped}"
    return f"another network of {len(weights)} tensors"


def _decoder(names: Iterable[str]) -> str:
    names = list(names)
    if any(name.startswith("decoder.block1.") for name in names):
        return "a DeepLabV3+"
    if any(name.startswith("decoder.aspp.") for name in names):
        return "a DeepLabV3 (without the plus)"
    return "another segmentation_models_pytorch network"


def _trunk(weights: Mapping[str, Tensor], prefix: str) -> str:
    """Name the ResNet with this number of blocks per stage (He et al., CVPR 2016, table 1)."""
    blocks = tuple(
        len({name.split(".")[1] for name in _inside(weights, prefix) if name.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    bottleneck = f"{prefix}layer1.0.conv3.weight" in weights
    depths: dict[tuple[tuple[int, ...], bool], int] = {
        ((2, 2, 2, 2), False): 18,
        ((3, 4, 6, 3), False): 34,
        ((3, 4, 6, 3), True): 50,
        ((3, 4, 23, 3), True): 101,
        ((3, 8, 36, 3), True): 152,
    }
    depth = depths.get((blocks, bottleneck))
    return "an unknown encoder" if depth is None else f"a ResNet-{depth}"


def _inside(weights: Iterable[str], prefix: str) -> Iterator[str]:
    return (name.removeprefix(prefix) for name in weights if name.startswith(prefix))


def _some(names: Iterable[str], otherwise: str = "") -> str:
    names = list(names)
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown or otherwise


def _names(document: Any) -> list[str]:
    return [str(key) for key in document] if isinstance(document, Mapping) else [type(document).__name__]


def _refuse_to_replace(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if (out / MANIFEST).is_file():
        if not overwrite:
            raise BundleError(f"{out} already contains a bundle; choose another folder or overwrite it.")
    elif not out.is_dir() or any(out.iterdir()):
        raise BundleError(f"{out} exists and is not a bundle; choose another folder.")


def _card(checkpoints: Iterable[ReadCheckpoint], preprocessing: Preprocessing) -> str:
    rows = []
    for found in checkpoints:
        content = found.path.read_bytes()
        rows.append(
            f"| `{found.path.name}` | {found.architecture.name}, {found.architecture.encoder}, "
            f"{found.architecture.classes} | {len(content)} | `{hashlib.sha256(content).hexdigest()}` |"
        )
    return _CARD.format(
        rows="\n".join(rows),
        mean=preprocessing.mean,
        std=preprocessing.std,
        types=", ".join(f"{kind.id} {kind.value}" for kind in ManipulationType),
    )


_CARD = """\
# An imported pair of checkpoints

| file | network, encoder, channels or classes | bytes | SHA-256 |
| --- | --- | --- | --- |
{rows}

Pixels are RGB, normalised with mean {mean} and standard deviation {std}.
Classes are assumed to be {types}.

Not calibrated: the error rates of these networks have not been measured with tamperscope, so reports give the
networks' own numbers and no verdict. The mask is cut at probability 0.5.
"""
