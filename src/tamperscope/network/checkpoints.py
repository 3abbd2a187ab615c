"""Turn a user's pair of checkpoints into a bundle.

    import_checkpoints(Path("deeplab.pth"), Path("resnet.pth"), out=Path("model-mine"))

A checkpoint written by `save_checkpoint` names its architecture. That of any other is recognised by its
tensors: the two networks may have different encoders.

Files are read without running code stored in them. Weights are found wherever training scripts put them: at
the top level, or under `state_dict`, `model` or another key, with any prefix (`module.` of DataParallel,
`model.` of Lightning...), in single or half precision, beside numbers and settings of the training.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import re
import shutil
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from tamperscope.network._inert import inert_types
from tamperscope.network.architectures import DECODERS, build
from tamperscope.network.export import write_network
from tamperscope.network.recognition import recognise_classification, recognise_segmentation
from tamperscope.report import ManipulationType

_WRAPPINGS = ("state_dict", "model_state_dict", "model")
_MOST_WRAPPINGS = 10
"""Wrappings around each other. A damaged or hostile file can hold one that holds itself."""


@dataclass(frozen=True)
class PairOptions:
    """What two checkpoints do not say themselves."""

    segmentation_encoder: str | None = None
    """None recognises it by the tensors; the same holds for the next one."""
    classification_encoder: str | None = None
    class_order: tuple[str, ...] = tuple(ManipulationType)
    """The manipulation type of each class of the classifier, in its order."""
    segmentation_size: int | None = None
    """Side of the square that every image is scaled to for this network, as it was in its training. None
    analyses images at their own resolution. Both networks have a size, or neither has.
    """
    classification_size: int | None = None
    preprocessing: Preprocessing = Preprocessing()  # noqa: RUF009  # frozen
    """Normalisation that both networks were trained with."""

    def __post_init__(self) -> None:
        if sorted(self.class_order) != sorted(ManipulationType):
            raise CheckpointError(
                "The order of the classes must name each manipulation type once: "
                f"{', '.join(ManipulationType)}."
            )
        sizes = self.segmentation_size, self.classification_size
        if None in sizes and sizes != (None, None):
            raise CheckpointError("Give the input size of both networks, or of neither.")


_DEFAULT_OPTIONS = PairOptions()


def import_checkpoints(
    segmentation: Path,
    classification: Path,
    out: Path,
    *,
    overwrite: bool = False,
    options: PairOptions = _DEFAULT_OPTIONS,
    version: str = "1.0.0",
) -> Bundle:
    """Write the bundle `out` from a segmentation and a classification checkpoint. Serving needs both.

    `out` is written atomically: a failed import leaves nothing behind.

    Args:
        segmentation: Checkpoint of a DeepLabV3+ or another network of `recognise_segmentation`.
        classification: Checkpoint of a ResNet or another network of `recognise_classification`.
        out: Folder of the new bundle.
        overwrite: Whether to replace an existing bundle in `out`. Anything else there is never replaced.
        options: What the checkpoints do not say.
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
        "segmentation": read_segmentation(segmentation, options.segmentation_encoder),
        "classification": _in_order(
            read_classification(classification, options.classification_encoder), options.class_order
        ),
    }
    sizes = {"segmentation": options.segmentation_size, "classification": options.classification_size}
    partial, retired = (out.parent / f".{out.name}-{uuid.uuid4().hex[:8]}" for _ in range(2))
    partial.mkdir(parents=True)
    try:
        entries = [
            dataclasses.replace(
                write_network(found.network, found.architecture, partial, name), input_size=sizes[name]
            )
            for name, found in networks.items()
        ]
        (partial / CARD).write_text(_card(networks.values(), options), encoding="utf-8", newline="\n")
        bundle = write_manifest(
            partial,
            name="imported-pair",
            version=version,
            networks=entries,
            preprocessing=options.preprocessing,
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


def read_segmentation(path: Path, encoder: str | None = None) -> ReadCheckpoint:
    """Read a network with 1 or 2 mask channels (segmentation_models_pytorch).

    `encoder` is the encoder that the checkpoint must have if it does not name its own; None recognises it.
    Raises what `read_weights` raises, and `MismatchedCheckpointError` when the file holds another network.
    """
    found = read_weights(path)
    noted = found.architecture.encoder if found.architecture else encoder
    architecture, weights = recognise_segmentation(found.tensors, noted)
    with_encoder = f" with a {noted} encoder" if noted else ""
    expected = f"a DeepLabV3+ (segmentation_models_pytorch){with_encoder} and 1 or 2 mask channels"
    return _fitted(path, weights, architecture, expected)


def read_classification(path: Path, encoder: str | None = None) -> ReadCheckpoint:
    """Read a ResNet or an EfficientNet with four classes; for the rest see `read_segmentation`."""
    found = read_weights(path)
    noted = found.architecture.encoder if found.architecture else encoder
    architecture, weights = recognise_classification(found.tensors, noted)
    named = noted or "ResNet or EfficientNet"
    return _fitted(path, weights, architecture, f"a {named} with {architecture.classes} classes")


@dataclass(frozen=True, eq=False)
class Weights:
    """The contents of a checkpoint."""

    tensors: dict[str, Tensor]
    """By name, as stored in the file."""
    architecture: Architecture | None
    """None unless the file was written by `save_checkpoint`."""


def read_weights(path: Path) -> Weights:
    """Return the weights in a .pth, .pt, .ckpt, .bin or .safetensors file, without running code in it.

    Raises `CheckpointError` when the file is damaged or contains no weights, `UnsafeCheckpointError` when
    reading it would run code.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
        _check_start(path, start)
        is_safetensors = start[8:9] == b"{" or path.suffix.lower() == ".safetensors"
        document = safetensors.torch.load_file(path) if is_safetensors else _load(path)
    except SafetensorError:
        raise CheckpointError(f"{path} is damaged or not a safetensors file.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or 'damaged'}.") from None
    weights = _unwrapped(document)
    if not weights:
        raise CheckpointError(f"{path} contains no weights; found: {_some(_names(document), 'nothing')}.")
    return Weights(weights, _noted_architecture(document))


def _check_start(path: Path, start: bytes) -> None:
    """Raise `CheckpointError` for what often lies where a checkpoint should be."""
    if not start:
        raise CheckpointError(f"{path} is empty.")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is only a pointer of Git LFS, and damaged as weights. Run: git lfs pull"
        )
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise CheckpointError(
            f"{path} is damaged: it is a web page, not weights. The download asked for something first."
        )


def _load(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(inert_types()), warnings.catch_warnings():
            # A TorchScript archive is refused below, in our words.
            warnings.simplefilter("ignore", UserWarning)
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
    except Exception as error:
        if "torchscript" in str(error).lower():
            raise CheckpointError(
                f"{path} is a TorchScript program. Save its weights where it was trained: "
                "torch.save(model.state_dict(), 'weights.pth')."
            ) from None
        # A damaged archive can raise any exception, depending on where it is damaged.
        raise CheckpointError(f"{path} is damaged or not a PyTorch checkpoint.") from None


def _noted_architecture(document: Any) -> Architecture | None:
    noted = document.get("architecture") if isinstance(document, Mapping) else None
    match noted:
        case {"name": str(name), "encoder": str(encoder), "classes": int(classes), **others} if not others:
            return Architecture(name, encoder, classes)
        case _:
            return None


def _unwrapped(document: Any) -> dict[str, Tensor]:
    """Return the tensors of the part of a document that holds a network.

    It is under the first key of `_WRAPPINGS`, wherever there is one, else the part with the most tensors: a
    training also stores its step, its loss, and the state of its optimiser.
    """
    for _ in range(_MOST_WRAPPINGS):
        if not isinstance(document, Mapping):
            break
        inner = next((document[key] for key in _WRAPPINGS if isinstance(document.get(key), Mapping)), None)
        if inner is None:
            break
        document = inner
    parts = sorted(_parts(document, depth=3), key=len, reverse=True)
    return parts[0] if parts else {}


def _parts(document: Any, depth: int) -> Iterator[dict[str, Tensor]]:
    """Yield the tensors that lie side by side in a mapping, for each mapping in a document."""
    if isinstance(document, Mapping):
        if tensors := {str(name): value for name, value in document.items() if isinstance(value, Tensor)}:
            yield tensors
        inner: Iterable[Any] = document.values()
    else:
        inner = document if isinstance(document, list | tuple) else ()
    if depth:
        for value in inner:
            yield from _parts(value, depth - 1)


def _in_order(found: ReadCheckpoint, order: Sequence[str]) -> ReadCheckpoint:
    """Return the classifier with its classes in the order of `ManipulationType`."""
    rows = [order.index(kind) for kind in ManipulationType]
    last = [module for module in found.network.modules() if isinstance(module, nn.Linear)][-1:]
    for layer in last if rows != sorted(rows) else ():
        layer.weight.data = layer.weight.data[rows]
        layer.bias.data = layer.bias.data[rows]
    return found


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
    counters = {name: tensor for name, tensor in wanted.items() if name not in weights}
    network.load_state_dict({**counters, **weights})
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
    layers = [name for name in bare if re.fullmatch(r"(fc|classifier|_fc)\.\d+\.weight", name)]
    if len(layers) > 1:
        return f"a classifier with {len(layers)} last layers, and what lies between them is not in the file"
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
    if any(name.startswith("decoder.psp.") for name in names):
        return "a PSPNet or UPerNet, which cannot be exported for images of every size,"
    return f"another segmentation_models_pytorch network than {', '.join(DECODERS.values())},"


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


def _card(checkpoints: Iterable[ReadCheckpoint], options: PairOptions) -> str:
    rows = []
    for found in checkpoints:
        content = found.path.read_bytes()
        rows.append(
            f"| `{found.path.name}` | {found.architecture.name}, {found.architecture.encoder}, "
            f"{found.architecture.classes} | {len(content)} | `{hashlib.sha256(content).hexdigest()}` |"
        )
    return _CARD.format(
        rows="\n".join(rows),
        mean=options.preprocessing.mean,
        std=options.preprocessing.std,
        types=", ".join(f"{number} {name}" for number, name in enumerate(options.class_order)),
        sizes="Images are analysed at their own resolution."
        if options.segmentation_size is None
        else f"Images are scaled to squares of {options.segmentation_size} pixels for the segmentation "
        f"and of {options.classification_size} for the classification.",
    )


_CARD = """\
# An imported pair of checkpoints

| file | network, encoder, channels or classes | bytes | SHA-256 |
| --- | --- | --- | --- |
{rows}

Pixels are RGB, normalised with mean {mean} and standard deviation {std}.
{sizes}
The classes of the classification checkpoint are taken as {types}.

Not calibrated: the error rates of these networks have not been measured with tamperscope, so reports give the
networks' own numbers and no verdict. The mask is cut at probability 0.5.
"""
