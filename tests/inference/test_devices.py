"""Networks on accelerators. ONNX Runtime's own CPU provider stands for those that this machine lacks."""

from __future__ import annotations

import dataclasses
import sys
import types

import numpy as np
import pytest

from tamperscope import Detector
from tamperscope.bundle import Bundle
from tamperscope.errors import BundleError, SettingsError
from tamperscope.inference import devices, runtime
from tamperscope.inference.devices import THE_CPU, Device, choose, usable
from tamperscope.inference.runtime import TOLERANCE, Runtime

pytest.importorskip("onnxruntime")


@pytest.fixture
def cuda(monkeypatch) -> Device:
    """Return the device `cuda` of a machine on which ONNX Runtime finds one."""
    provider = dataclasses.replace(devices._PROVIDERS["cuda"], target="CPUExecutionProvider", options={})
    monkeypatch.setattr(devices, "_PROVIDERS", {**devices._PROVIDERS, "cuda": provider})
    return choose("cuda")


@pytest.fixture
def npu(monkeypatch) -> Device:
    """Return the NPU of a machine on which OpenVINO finds one."""
    core = types.SimpleNamespace(available_devices=["CPU", "NPU"], get_property=lambda *_: "of a test")
    monkeypatch.setattr(devices, "core", core)
    return dataclasses.replace(choose("npu"), target="CPU")


def test_the_cpu_is_the_default_and_what_is_left_for_auto() -> None:
    assert choose("cpu") is THE_CPU
    assert choose("auto") is THE_CPU
    assert usable() == ("cpu",)


def test_an_accelerator_comes_before_the_cpu(cuda: Device) -> None:
    assert cuda.text.startswith("CUDA (ONNX Runtime 1.")
    assert choose("auto") == choose("gpu") == cuda
    assert usable() == ("cuda", "cpu")


def test_an_npu_is_taken_when_there_is_no_gpu(npu: Device) -> None:
    assert npu.text == "NPU of a test (OpenVINO)"
    assert choose("auto").name == "npu"


@pytest.mark.parametrize("absent", ["gpu", "npu", "cuda", "tensorrt", "coreml", "directml", "openvino-gpu"])
def test_an_absent_device_is_an_error_that_names_the_usable_ones(absent: devices.DeviceName) -> None:
    with pytest.raises(SettingsError, match=f"The device {absent} cannot be used: .*Usable here: cpu"):
        choose(absent)


def test_a_missing_library_is_named_with_its_extra(monkeypatch) -> None:
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(SettingsError, match=r"pip install 'tamperscope\[cuda\]'"):
        choose("cuda")


def test_a_broken_library_leaves_the_cpu(tmp_path, monkeypatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('DLL load failed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime")

    assert choose("auto") is THE_CPU
    with pytest.raises(SettingsError, match="driver or library is missing"):
        choose("cuda")


def test_a_provider_that_falls_back_to_the_cpu_is_absent(monkeypatch) -> None:
    # As where ONNX Runtime was built for CUDA and there is no driver.
    found = devices.onnx_runtime()
    monkeypatch.setattr(found, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(found, "preload_dlls", lambda: None)

    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(SettingsError, match="driver"),
    ):
        choose("cuda")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 97), (64, 64)])
def test_onnx_runtime_agrees_with_openvino(
    joint_bundle: Bundle, cuda: Device, rng: np.random.Generator, height: int, width: int
) -> None:
    tile = rng.integers(0, 256, (height, width, 3), np.uint8)

    expected = Runtime(joint_bundle, threads=1, precision="f32").run(tile)
    found = Runtime(joint_bundle, threads=1, device=cuda).run(tile)

    np.testing.assert_allclose(found.mask, expected.mask, atol=TOLERANCE)
    np.testing.assert_allclose(found.type, expected.type, atol=TOLERANCE)
    assert found.score == pytest.approx(expected.score, abs=TOLERANCE)
    assert expected.mask.shape == (height, width)


def test_a_pair_runs_both_of_its_networks(
    pair_bundle: Bundle, cuda: Device, rng: np.random.Generator
) -> None:
    outputs = Runtime(pair_bundle, threads=1, device=cuda).run(rng.integers(0, 256, (64, 64, 3), np.uint8))

    assert outputs.mask is not None
    assert outputs.type is not None
    assert outputs.score is None


def test_an_npu_gets_a_network_of_each_size(
    joint_bundle: Bundle, npu: Device, rng: np.random.Generator
) -> None:
    tiles = [rng.integers(0, 256, (16 * number, 48, 3), np.uint8) for number in range(1, 12)]
    expected = Runtime(joint_bundle, threads=1)

    found = Runtime(joint_bundle, threads=1, device=npu)

    # More sizes than it keeps, and the first one again.
    for tile in (*tiles, tiles[0]):
        np.testing.assert_allclose(found.run(tile).mask, expected.run(tile).mask, atol=TOLERANCE)


def test_a_device_that_computes_something_else_is_refused(
    joint_bundle: Bundle, cuda: Device, monkeypatch
) -> None:
    infer = runtime.OnnxNetwork.infer
    monkeypatch.setattr(
        runtime.OnnxNetwork, "infer", lambda *args: {k: v + 0.01 for k, v in infer(*args).items()}
    )

    with pytest.raises(SettingsError, match=r"differ by 0\.0100, where 0\.002 is allowed"):
        Runtime(joint_bundle, device=cuda)


def test_a_graph_that_onnx_runtime_cannot_read_is_a_bundle_error(
    joint_bundle: Bundle, cuda: Device, tmp_path
) -> None:
    (tmp_path / "joint.onnx").write_bytes(b"not a graph")

    with pytest.raises(BundleError, match=r"joint\.onnx is not a graph that ONNX Runtime can run on CUDA"):
        Runtime(dataclasses.replace(joint_bundle, path=tmp_path), device=cuda)


def test_bf16_is_for_the_cpu(joint_bundle: Bundle, cuda: Device) -> None:
    with pytest.raises(SettingsError, match="bf16"):
        Runtime(joint_bundle, precision="bf16", device=cuda)


def test_a_report_names_the_device(joint_bundle: Bundle, cuda: Device, rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (64, 64, 3), np.uint8)

    usual, other = Detector(joint_bundle), Detector(joint_bundle, device="cuda")

    assert usual.analyze(picture).to_json()["device"] == "cpu"
    assert other.analyze(picture).to_json()["device"] == cuda.text
    assert usual.method.key != other.method.key
