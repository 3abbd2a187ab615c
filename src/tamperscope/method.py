"""What a result depends on besides the image: the bundle, the options, and the code.

    method = Method.of(bundle.identity, DetectorOptions(precision="f32"))
    method.key    # equal where the answers are

Everything that keeps results keeps them under this identity: the archive of the server, the journal of a
scan, and the journal of a benchmark.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from tamperscope.images import ImageLimits
from tamperscope.report import CPU, BundleIdentity

Precision = Literal["auto", "f32", "bf16"]
"""`auto` computes in 8-bit integers where the bundle has such a graph, and in 32-bit floating point
elsewhere. `f32` always computes in 32-bit floating point. `bf16` computes in 16-bit floating point where the
processor can, and then rounds differently from one processor to another.
"""

DeviceName = Literal["auto", "cpu", "gpu", "npu", "cuda", "tensorrt", "coreml", "directml", "openvino-gpu"]
"""Where the networks run: see `inference.devices.choose`. Devices other than the CPU always compute in 32-bit
floating point.
"""

MEASURING_CODE = (
    "__init__.py",
    "_external_data.py",
    "_version.py",
    "background.py",
    "bundle.py",
    "calibration.py",
    "detector.py",
    "errors.py",
    "evidence",
    "images",
    "inference",
    "interruption.py",
    "method.py",
    "origin.py",
    "report.py",
)
"""Files and folders of this package that can change a report: everything that `detector.py` imports."""

MEASURING_LIBRARIES = (
    "c2pa-python",
    "defusedxml",
    "exifread",
    "jpeglib",
    "numpy",
    "opencv-python-headless",
    "openvino",
    "pi-heif",
    "pillow",
)
_DEFAULT_LIMITS = ImageLimits()
_SOURCES = (".py", ".toml")
# Options that change how long an analysis takes, and not what it finds.
# `Method.device` says which device did the work.
_WITHOUT_EFFECT_ON_ANSWERS = frozenset({"threads", "cache", "device"})


@dataclass(frozen=True)
class DetectorOptions:
    """How a detector analyses images."""

    limits: ImageLimits = _DEFAULT_LIMITS
    """Which images are refused."""
    pixel_budget: int = 4_000_000
    """Images with more pixels are scaled down to this many for the networks."""
    precision: Precision = "auto"
    """Arithmetic of the networks."""
    device: DeviceName = CPU
    """Where the networks run."""
    use_evidence: bool = True
    """Whether copies and JPEG traces join the networks in mask and score. Without them an analysis is faster,
    but hardly sees copies within the image.
    """
    threads: int | None = None
    """CPU threads of one analysis; None takes what the machine has."""
    trust_list: str = ""
    """Name of the list of trusted signers of Content Credentials, as reports call it; empty without one."""
    trust_anchors: str = ""
    """That list: certificates of authorities, PEM."""
    cache: Path | None = None
    """Folder in which compiled networks are kept; None compiles them each time."""


@dataclass(frozen=True)
class Method:
    """The identity of what produced a result."""

    bundle: BundleIdentity
    options: DetectorOptions
    code: str
    """`code_digest()` of the code that made the result."""
    device: str = CPU
    """What ran the networks, with the library's version if that is not in the digest of the code."""

    @classmethod
    def of(cls, bundle: BundleIdentity, options: DetectorOptions, device: str = CPU) -> Method:
        """Return the method of this process."""
        return cls(bundle, options, code_digest(), device)

    def to_json(self) -> dict[str, Any]:
        """Return all that can change an answer, in types that `json.dumps` takes."""
        options = dataclasses.asdict(self.options)
        options["trust_anchors"] = hashlib.sha256(self.options.trust_anchors.encode()).hexdigest()
        return {
            "bundle": self.bundle.sha256,
            "options": {
                name: value for name, value in options.items() if name not in _WITHOUT_EFFECT_ON_ANSWERS
            },
            "code": self.code,
            "device": self.device,
        }

    @property
    def key(self) -> str:
        """64 hexadecimal digits, equal where the answers are."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


@functools.cache
def code_digest(*more: str) -> str:
    """Return a digest, 64 hexadecimal digits, of the code that can change a report, and of the libraries
    under it.

    `more` names further files or folders of this package, for results that they can change as well. The
    version alone would not do: it stays the same for many commits.
    """
    package = resources.files("tamperscope")
    digest = hashlib.sha256()
    for place in (*MEASURING_CODE, *more):
        for name, source in _sources(package / place, place):
            digest.update(f"{name}\0".encode() + source + b"\0")
    for library in MEASURING_LIBRARIES:
        digest.update(f"{library} {_version(library)}\0".encode())
    return digest.hexdigest()


def _sources(place: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    if place.is_dir():
        for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
            yield from _sources(entry, f"{name}/{entry.name}")
    elif name.endswith(_SOURCES):
        yield name, place.read_bytes()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        # Such as OpenCV under another of its distributions' names.
        return "unknown"
