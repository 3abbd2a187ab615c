"""A bundle's networks, compiled for the CPU or for another device."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from tamperscope.bundle import Bundle, Network
from tamperscope.errors import SettingsError
from tamperscope.inference.compiled import CompiledModels
from tamperscope.inference.devices import THE_CPU, Device
from tamperscope.inference.onnx_network import OnnxNetwork
from tamperscope.inference.openvino_network import OpenVinoNetwork
from tamperscope.inference.tiling import STEP
from tamperscope.method import Precision

TOLERANCE = 2e-3
"""Most by which an output of another device may differ from the CPU's in 32-bit floating point."""


@dataclass(frozen=True, eq=False)
class TileOutputs:
    """The outputs of a bundle's networks for one tile; None for outputs that no network of the bundle has."""

    mask: NDArray[np.float32] | None
    """(height, width) float32, 0 to 1: probability that a pixel was manipulated."""
    type: NDArray[np.float32] | None
    """(4,) float32, summing to 1: probability of each manipulation type, given a manipulation."""
    score: float | None
    """Uncalibrated probability, 0 to 1, that anything was manipulated at all."""


class CompiledNetwork(Protocol):
    """A network that a library can run."""

    def infer(self, pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        """Return the outputs, by name, for pixels (N, H, W, 3) uint8 RGB; valid until the next call."""
        ...


class Runtime:
    """Compiled networks that any number of threads can share. Equal tiles have equal outputs, byte for byte.

    `threads` is the number of CPU threads that one call uses; None leaves it to the library. Calls from
    several threads wait for each other, because one call already uses all those threads. `cache` is a folder:
    models that were compiled there before are reused. On the CPU with `precision` "auto", a network that has
    a quantised graph runs that one. With "f32" and "bf16", and on every other device, all run in floating
    point.

    A device other than the CPU first runs a sample, and must agree with the CPU within `TOLERANCE`.

    Raises `BundleError` when the device cannot use a graph. Raises `SettingsError` when it does not agree, or
    when another device than the CPU is asked for "bf16".
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        cache: Path | None = None,
        precision: Precision = "auto",
        device: Device = THE_CPU,
    ) -> None:
        if precision == "bf16" and not device.is_cpu:
            raise SettingsError("The precision bf16 is for the device cpu only; choose f32 or auto.")
        self._multiple = int(np.lcm(STEP, bundle.preprocessing.multiple))
        compiled = CompiledModels(cache) if cache else None
        self._networks: dict[Network, CompiledNetwork] = {}
        for network in bundle.networks:
            if device.library == "onnxruntime":
                self._networks[network] = OnnxNetwork(bundle, network.graph_file, device, threads)
            else:
                self._networks[network] = OpenVinoNetwork(
                    bundle,
                    _graph_file(network, precision if device.is_cpu else "f32"),
                    device,
                    precision=precision,
                    threads=threads,
                    cache=compiled,
                )
        self._lock = threading.Lock()
        if not device.is_cpu:
            _check_agreement(
                self, Runtime(bundle, threads=threads, cache=cache, precision="f32"), device.text
            )

    def run(self, tile: NDArray[np.uint8]) -> TileOutputs:
        """Return the networks' outputs for a tile (height, width, 3) uint8 RGB of any size."""
        height, width = tile.shape[:2]
        outputs: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for network, compiled in self._networks.items():
                seen = tile if network.input_size is None else _squared(tile, network.input_size)
                found = compiled.infer(_padded(seen, self._multiple)[np.newaxis])
                for name in network.outputs:
                    outputs[name] = found[name][0].copy()
                    if name == "mask":
                        outputs[name] = _fitted(
                            outputs[name][0, : seen.shape[0], : seen.shape[1]], height, width
                        )
        mask, kinds, score = (outputs.get(name) for name in ("mask", "type", "score"))
        return TileOutputs(
            mask=mask,
            type=kinds,
            score=None if score is None else float(score[0]),
        )


def _squared(tile: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale to a square as torchvision's `Resize` does to a picture: linearly, over all pixels it covers."""
    picture = PIL.Image.fromarray(tile).resize((side, side), PIL.Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _fitted(mask: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    if mask.shape == (height, width):
        return mask
    scaled: NDArray[np.float32] = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    return scaled


def _padded(tile: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """Pad below and to the right by reflection, which adds no edge. `symmetric` allows any padding."""
    missing = [-size % multiple for size in tile.shape[:2]]
    return np.pad(tile, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")


def _graph_file(network: Network, precision: Precision) -> str:
    return network.quantised_graph_file if network.quantised and precision == "auto" else network.graph_file


def _check_agreement(runtime: Runtime, cpu: Runtime, text: str) -> None:
    """Raise `SettingsError` unless the two agree on a picture of blurred noise with a sharp patch."""
    rng = np.random.default_rng(0)
    sample = cv2.GaussianBlur(rng.integers(0, 256, (128, 192, 3), np.uint8), (0, 0), 2)
    sample[32:80, 48:112] = rng.integers(0, 256, (48, 64, 3), np.uint8)
    found, expected = runtime.run(sample), cpu.run(sample)
    apart = max(
        float(np.abs(np.subtract(ours, theirs)).max())
        for ours, theirs in (
            (found.mask, expected.mask),
            (found.type, expected.type),
            (found.score, expected.score),
        )
        if ours is not None and theirs is not None
    )
    # Not a number is no agreement either.
    if not apart <= TOLERANCE:
        raise SettingsError(
            f"{text} computes otherwise than the CPU: outputs differ by {apart:.4f}, where {TOLERANCE} is "
            "allowed. Update its driver, or use --device cpu."
        )
