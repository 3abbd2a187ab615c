"""What a bundle is: a folder with everything inference needs.

    bundle = Bundle.load("model/")
    bundle.networks[0].outputs      # ("mask", "type", "score")

`docs/architecture.md` describes the files. Loading a bundle verifies every byte of it against the manifest.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import importlib.util
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamperscope._external_data import external_files
from tamperscope.calibration import Calibration
from tamperscope.errors import BundleError
from tamperscope.report import BundleIdentity

SCHEMA = 1
MANIFEST = "bundle.json"
CARD = "README.md"
OUTPUTS = ("mask", "type", "score")
_MULTIPLES = range(1, 257)
"""A larger one would enlarge every small image without need."""


@dataclass(frozen=True)
class Architecture:
    """What is needed to build a network in PyTorch before its weights are loaded."""

    name: str
    """A name that `tamperscope.network.architectures` knows."""
    encoder: str
    """Convolutional encoder, such as `resnet50`."""
    classes: int
    """Channels of the mask (1 or 2), or number of manipulation types."""


@dataclass(frozen=True)
class Network:
    """One graph of a bundle, `<name>.onnx`, with its weights, `<name>.safetensors`."""

    name: str
    architecture: Architecture
    outputs: tuple[str, ...]
    """Which of `mask`, `type` and `score` the graph returns, in its order."""
    quantised: bool = False
    """Whether the bundle also has `<name>.int8.onnx`, which uses 8-bit integers and the same weights."""
    input_size: int | None = None
    """Side of the square that every image is scaled to for this network, as in its training. None takes
    images at their own resolution.
    """

    @property
    def graph_files(self) -> tuple[str, ...]:
        """Names of the ONNX files of this network inside the bundle."""
        return (self.graph_file, *((self.quantised_graph_file,) if self.quantised else ()))

    @property
    def quantised_graph_file(self) -> str:
        """Name of the ONNX file that uses 8-bit integers, which exists if `quantised`."""
        return f"{self.name}.int8.onnx"

    @property
    def graph_file(self) -> str:
        """Name of the ONNX file inside the bundle."""
        return f"{self.name}.onnx"

    @property
    def weights_file(self) -> str:
        """Name of the safetensors file inside the bundle."""
        return f"{self.name}.safetensors"


@dataclass(frozen=True)
class Preprocessing:
    """How RGB pixels become the input of a network: `(pixel / 255 - mean) / std`. ImageNet's values by
    default.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    multiple: int = 16
    """Height and width of an input are multiples of this."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and verified.

    Example:
        >>> bundle = Bundle.load()
        >>> sorted(bundle.outputs)
        ['mask', 'score', 'type']
        >>> bundle.calibration is not None
        True
    """

    path: Path
    name: str
    version: str
    networks: tuple[Network, ...]
    preprocessing: Preprocessing
    threshold: float
    """Probability, 0 to 1, from which a pixel belongs to the mask."""
    smallest_region: float
    """Area, as a share of the image, below which even a wholly certain region is dropped; see
    `inference.regions`.
    """
    calibration: Calibration | None
    """None if the error rates of this bundle were never measured, as with a newly imported pair."""
    identity: BundleIdentity

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Bundle:
        """Read a bundle and verify each of its files.

        Args:
            path: Folder of the bundle; None takes `default_bundle_path()`.

        Returns:
            The bundle.

        Raises:
            BundleError: The folder is not a bundle, has another schema, or a file is missing or altered.
        """
        folder = default_bundle_path() if path is None else Path(path)
        manifest = folder / MANIFEST
        try:
            _check_regular(manifest)
            content = manifest.read_bytes()
        except FileNotFoundError:
            raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}.") from None
        except OSError as error:
            raise BundleError(f"{manifest} cannot be read: {error.strerror}.") from None
        try:
            bundle, files = _from_manifest(folder, content)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise BundleError(
                f"{manifest} is not a manifest that this version understands: {error!r}."
            ) from None
        for name, expected in files.items():
            _verify_file(folder, name, expected)
        for network in bundle.networks:
            _verify_network(folder, network, files)
        return bundle

    @property
    def outputs(self) -> frozenset[str]:
        """Which of `mask`, `type` and `score` the networks return together."""
        return frozenset(output for network in self.networks for output in network.outputs)

    @property
    def scales_images(self) -> bool:
        """Whether all networks see the whole image, scaled to a square of theirs."""
        return all(network.input_size for network in self.networks)


def default_bundle_path() -> Path:
    """Return the folder of the default model.

    It is the one that the environment variable `TAMPERSCOPE_MODEL` names, else `model/` of the source
    checkout, else the installed distribution `tamperscope-model`. The working directory is never searched:
    a downloaded folder with a `model/` in it must not choose the model.

    Raises:
        BundleError: None of the three is there.
    """
    if configured := os.environ.get("TAMPERSCOPE_MODEL"):
        return Path(configured)
    found = _checkouts_model() or _installed_model()
    if found is None:
        raise BundleError(
            "There is no model. Install the default one with: pip install 'tamperscope[model]'. "
            "Or name the folder of a bundle with --model or TAMPERSCOPE_MODEL."
        )
    return found


def list_bundles(folder: Path) -> tuple[Path, ...]:
    """Return the bundles in a folder: the folder itself and its direct sub-folders that have a manifest,
    sorted.

    >>> [path.name for path in list_bundles(default_bundle_path())]
    ['model']
    """
    if not folder.is_dir():
        return ()
    candidates = [folder, *sorted(child for child in folder.iterdir() if child.is_dir())]
    return tuple(candidate for candidate in candidates if (candidate / MANIFEST).is_file())


def write_manifest(
    folder: Path,
    *,
    name: str,
    version: str,
    networks: Iterable[Network],
    preprocessing: Preprocessing,
    threshold: float = 0.5,
    smallest_region: float = 0.0,
    calibration: Calibration | None = None,
) -> Bundle:
    """Turn a folder with graphs and weights into a bundle by writing its manifest.

    The manifest holds the digests of all other files, so these must exist already. Equal arguments and files
    give equal bytes.

    Args:
        folder: Folder with the graphs, the weights and, optionally, a model card.
        name: Name of the bundle.
        version: Version of the bundle.
        networks: The networks whose files are in the folder.
        preprocessing: How pixels become the input of the networks.
        threshold: Probability, 0 to 1, from which a pixel belongs to the mask.
        smallest_region: Area, as a share of the image, that a region must have; see `Bundle.smallest_region`.
        calibration: What turns measurements into a score; None leaves every verdict `inconclusive`.

    Returns:
        The bundle, read back and verified.

    Raises:
        BundleError: A file of a network is missing.
    """
    networks = tuple(networks)
    needed = {file for network in networks for file in (*network.graph_files, network.weights_file)}
    if missing := sorted(file for file in needed if not (folder / file).is_file()):
        raise BundleError(f"{folder} cannot become a bundle: {', '.join(missing)} must be written first.")
    held = sorted(needed | ({CARD} if (folder / CARD).is_file() else set()))
    manifest = {
        "schema": SCHEMA,
        "name": name,
        "version": version,
        "networks": [dataclasses.asdict(network) for network in networks],
        "preprocessing": dataclasses.asdict(preprocessing),
        "threshold": threshold,
        "smallest_region": smallest_region,
        "calibration": None if calibration is None else calibration.to_json(),
        "files": {file: dataclasses.asdict(_FileDigest.of(folder / file)) for file in held},
    }
    text = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    return Bundle.load(folder)


def _checkouts_model() -> Path | None:
    """Return `model/` beside `src/`, if this code runs from a source checkout."""
    checkout = Path(__file__).parents[2]
    model = checkout / "model"
    return model if (checkout / "pyproject.toml").is_file() and (model / MANIFEST).is_file() else None


def _installed_model() -> Path | None:
    installed = importlib.util.find_spec("tamperscope_model")
    # A namespace package has no origin: any folder of this name would be one.
    return Path(installed.origin).parent if installed and installed.origin else None


@dataclass(frozen=True)
class _FileDigest:
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> _FileDigest:
        with path.open("rb") as file:
            return cls(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _from_manifest(folder: Path, content: bytes) -> tuple[Bundle, dict[str, _FileDigest]]:
    document = json.loads(content)
    if document["schema"] != SCHEMA:
        raise BundleError(
            f"{folder} has a manifest of schema {document['schema']}; this version reads schema {SCHEMA}."
        )
    calibration = document["calibration"]
    networks = tuple(_network(entry) for entry in document["networks"])
    files = {
        _plain(name): _FileDigest(int(entry["bytes"]), str(entry["sha256"]))
        for name, entry in document["files"].items()
    }
    # Without one the bundle is refused below, by a sentence about that file.
    weights = [files[each.weights_file].sha256 for each in networks if each.weights_file in files]
    identity = BundleIdentity(
        str(document["name"]),
        str(document["version"]),
        hashlib.sha256(content).hexdigest(),
        hashlib.sha256(" ".join(weights).encode()).hexdigest(),
    )
    bundle = Bundle(
        path=folder,
        name=identity.name,
        version=identity.version,
        networks=networks,
        preprocessing=_preprocessing(document["preprocessing"]),
        threshold=_share(document["threshold"]),
        smallest_region=_share(document["smallest_region"]),
        calibration=None if calibration is None else Calibration.from_json(calibration),
        identity=identity,
    )
    if not bundle.networks:
        raise ValueError("no networks")
    return bundle, files


def _network(entry: Mapping[str, Any]) -> Network:
    architecture = entry["architecture"]
    outputs = tuple(entry["outputs"])
    if not outputs or not set(outputs) <= set(OUTPUTS):
        raise ValueError(f"outputs {outputs}")
    return Network(
        name=_plain(entry["name"]),
        architecture=Architecture(
            str(architecture["name"]), str(architecture["encoder"]), int(architecture["classes"])
        ),
        outputs=outputs,
        # Bundles from before integer arithmetic lack this entry.
        quantised=bool(entry.get("quantised", False)),
        # So do those from before networks that see scaled images.
        input_size=_input_size(entry.get("input_size")),
    )


def _input_size(value: Any) -> int | None:
    if value is not None and not 32 <= int(value) <= 2048:
        raise ValueError(f"input size {value}")
    return None if value is None else int(value)


def _preprocessing(entry: Mapping[str, Any]) -> Preprocessing:
    mean, std = (tuple(float(value) for value in entry[key]) for key in ("mean", "std"))
    multiple = int(entry["multiple"])
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0 or multiple not in _MULTIPLES:
        raise ValueError(f"preprocessing {dict(entry)}")
    return Preprocessing((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), multiple)


def _share(value: Any) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{value} is not within 0 and 1")
    return float(value)


def _plain(name: str) -> str:
    """Return a file name if it cannot lead out of the folder of the bundle; raises `ValueError` otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} is not a plain file name")
    return name


def _check_regular(path: Path) -> None:
    """Raise `OSError` unless this is a regular file: opening a pipe would wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file")


def _verify_file(folder: Path, name: str, expected: _FileDigest) -> None:
    try:
        _check_regular(folder / name)
        found = _FileDigest.of(folder / name)
    except FileNotFoundError:
        raise BundleError(f"{folder} is incomplete: {name} is missing.") from None
    except OSError as error:
        raise BundleError(f"{folder / name} cannot be read: {error.strerror}.") from None
    if found.bytes != expected.bytes:
        raise BundleError(
            f"{folder / name} was altered or is cut off: it has {found.bytes} bytes, not {expected.bytes}."
        )
    if found.sha256 != expected.sha256:
        raise BundleError(f"{folder / name} was altered: its SHA-256 is not the manifest's.")


def _verify_network(folder: Path, network: Network, files: Mapping[str, _FileDigest]) -> None:
    for name in (*network.graph_files, network.weights_file):
        if name not in files:
            raise BundleError(f"{folder} is incomplete: its manifest does not list {name}.")
    for name in network.graph_files:
        try:
            references = external_files((folder / name).read_bytes())
        except (ValueError, RecursionError):
            raise BundleError(f"{folder / name} is not an ONNX graph.") from None
        # A runtime opens whatever file a graph names, anywhere on this machine.
        if not references <= {network.weights_file}:
            raise BundleError(f"{folder / name} takes weights from outside {network.weights_file}.")
