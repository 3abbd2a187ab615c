"""The devices on which the networks can run, and the choice of one.

    device = choose("auto")    # the best accelerator of this machine, or else the CPU
    device.text                # what reports, /ready and /metrics call it

OpenVINO brings the CPU, Intel's GPUs and NPUs. The other devices need ONNX Runtime: the extras `cuda`,
`coreml` and `directml` install the build for each. All run the same bundle.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import openvino

from tamperscope.errors import SettingsError
from tamperscope.method import DeviceName
from tamperscope.report import CPU

# One core for the lifetime of the process. OpenVINO gives the thread that first compiles a signal stack, and
# removes it with the core, from whichever thread destroys the core. The next signal then ends the process.
core = openvino.Core()

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """A device of this machine, and the library that runs networks on it."""

    name: DeviceName
    """A value of `--device` that means this device and no other."""
    text: str
    """For people and for `Method`: the device, and the library if it is not OpenVINO's CPU."""
    library: Literal["openvino", "onnxruntime"]
    target: str
    """The library's own name: an OpenVINO device, or a provider of ONNX Runtime."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the provider."""

    @property
    def is_cpu(self) -> bool:
        """Whether it is the CPU, with which every other device is compared."""
        return self.name == CPU

    @property
    def takes_one_size(self) -> bool:
        """Whether a network must be compiled for each size of its input."""
        return self.name == _NPU


THE_CPU = Device(CPU, CPU, "openvino", "CPU")


def choose(wanted: DeviceName) -> Device:
    """Return the device that a value of `--device` means on this machine.

    `auto` is the first accelerator that works here, or else the CPU. `gpu` is the first GPU.

    Raises:
        SettingsError: This machine has no such device, or the library for it is not installed.
    """
    if wanted == CPU:
        return THE_CPU
    names = _GROUPS.get(wanted, (wanted,))
    if found := next(_present(names), None):
        return found
    if wanted == "auto":
        return THE_CPU
    raise SettingsError(
        f"The device {wanted} cannot be used: there is none on this machine, or its driver or library is "
        f"missing. {_advice(wanted)}Usable here: {', '.join(usable())}."
    )


def usable() -> tuple[str, ...]:
    """Return the names of the devices that work on this machine, best first."""
    return (*(device.name for device in _present((*_GPUS, _TENSORRT, _NPU))), CPU)


@dataclass(frozen=True)
class _Provider:
    """A provider of ONNX Runtime that may be a device."""

    target: str
    label: str
    options: Mapping[str, str]
    extra: str
    """The extra that installs the build of ONNX Runtime with this provider."""


# Without TF32 and 16-bit sums, which would move an answer by more than `runtime.TOLERANCE`.
_PROVIDERS: Mapping[DeviceName, _Provider] = {
    "cuda": _Provider(
        "CUDAExecutionProvider",
        "CUDA",
        # Searching for the fastest algorithm would take seconds for each size of tile.
        {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
        "cuda",
    ),
    "tensorrt": _Provider("TensorrtExecutionProvider", "TensorRT", {"trt_fp16_enable": "0"}, "cuda"),
    "coreml": _Provider(
        "CoreMLExecutionProvider",
        "Core ML",
        {
            "ModelFormat": "MLProgram",
            "MLComputeUnits": "CPUAndGPU",
            "AllowLowPrecisionAccumulationOnGPU": "0",
        },
        "coreml",
    ),
    "directml": _Provider("DmlExecutionProvider", "DirectML", {}, "directml"),
}
# TensorRT compiles each size of tile for minutes, so it is used only by its own name.
_TENSORRT: DeviceName = "tensorrt"
_OPENVINO_GPU: DeviceName = "openvino-gpu"
_GPUS: tuple[DeviceName, ...] = ("cuda", "coreml", "directml", _OPENVINO_GPU)
_NPU: DeviceName = "npu"
_GROUPS: Mapping[DeviceName, tuple[DeviceName, ...]] = {"auto": (*_GPUS, _NPU), "gpu": _GPUS}
_OPENVINO: Mapping[DeviceName, str] = {_OPENVINO_GPU: "GPU", _NPU: "NPU"}

# One Relu over one number, as ONNX: whether a provider works is known only once it has a session.
_PROBE = (
    b'\x08\x08:7\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x05probeZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02'
    b"\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)

assert {*_PROVIDERS, *_OPENVINO, "auto", CPU, "gpu"} == {*get_args(DeviceName)}


def _present(names: Iterable[DeviceName]) -> Iterator[Device]:
    for name in names:
        device = _in_openvino(name) if name in _OPENVINO else _in_onnx_runtime(name)
        if device:
            yield device


def _in_openvino(name: DeviceName) -> Device | None:
    kind = _OPENVINO[name]
    for target in core.available_devices:
        # With several of a kind, their names have numbers: GPU.0, GPU.1.
        if target.partition(".")[0] == kind:
            full_name = core.get_property(target, "FULL_DEVICE_NAME")
            return Device(name, f"{kind} {full_name} (OpenVINO)", "openvino", target)
    return None


def _in_onnx_runtime(name: DeviceName) -> Device | None:
    runtime, provider = onnx_runtime(), _PROVIDERS[name]
    if runtime is None or provider.target not in runtime.get_available_providers():
        return None
    try:
        session = runtime.InferenceSession(_PROBE, providers=[(provider.target, dict(provider.options))])
    except Exception:
        # ONNX Runtime's errors have no other common base. A missing driver is one of them.
        _log.debug("ONNX Runtime has no %s here.", provider.label, exc_info=True)
        return None
    if session.get_providers()[0] != provider.target:
        # It has fallen back to the CPU, which OpenVINO does faster.
        return None
    text = f"{provider.label} (ONNX Runtime {runtime.__version__})"
    return Device(name, text, "onnxruntime", provider.target, provider.options)


def onnx_runtime() -> Any | None:
    """Return the module `onnxruntime`, made silent; None if it is not installed, or its library is broken."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    try:
        import onnxruntime
    except ImportError:
        # Such as on Windows without the C++ runtime.
        _log.debug("ONNX Runtime cannot be loaded.", exc_info=True)
        return None

    # Its builds for Windows would report use to Microsoft.
    onnxruntime.disable_telemetry_events()
    # Fatal messages only: a missing driver is reported in our own words.
    onnxruntime.set_default_logger_severity(4)
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        # Finds CUDA and cuDNN where pip has installed them, and prints what it does not find.
        with contextlib.redirect_stdout(None):
            onnxruntime.preload_dlls()
    return onnxruntime


def _advice(wanted: DeviceName) -> str:
    extras = {provider.extra for name, provider in _PROVIDERS.items() if wanted in (name, "gpu")}
    if not extras or onnx_runtime() is not None:
        return ""
    commands = " or ".join(f"pip install 'tamperscope[{extra}]'" for extra in sorted(extras))
    return f"The library comes with {commands}. "
