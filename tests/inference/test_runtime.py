from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tamperscope.bundle import Bundle
from tamperscope.errors import BundleError
from tamperscope.inference.compiled import CompiledModels
from tamperscope.inference.openvino_network import OpenVinoNetwork
from tamperscope.inference.runtime import Runtime
from tamperscope.network.architectures import probabilities
from tamperscope.network.export import read_network


@pytest.fixture(scope="module")
def runtime(joint_bundle: Bundle) -> Runtime:
    return Runtime(joint_bundle, threads=1)


def test_pixels_are_normalised_as_the_manifest_states(joint_bundle: Bundle, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (64, 128, 3), np.uint8)
    custom = dataclasses.replace(joint_bundle.preprocessing, mean=(0.1, 0.5, 0.9), std=(0.2, 0.5, 1.0))
    outputs = Runtime(dataclasses.replace(joint_bundle, preprocessing=custom), threads=1).run(pixels)
    normalised = (pixels.astype(np.float32) / 255 - custom.mean) / custom.std
    network = probabilities(read_network(joint_bundle, "joint"), joint_bundle.networks[0].outputs)
    with torch.inference_mode():
        mask, kinds, score = network(torch.from_numpy(normalised).float().permute(2, 0, 1)[None])
    # The same float32 weights and pixels: only the order of summation differs.
    np.testing.assert_allclose(outputs.mask, mask[0, 0], atol=1e-5)
    np.testing.assert_allclose(outputs.type, kinds[0], atol=1e-5)
    assert outputs.score == pytest.approx(score.item(), abs=1e-5)
    assert mask.std() > 0.02


def test_16_bit_floats_give_nearly_the_same_outputs(joint_bundle: Bundle, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (64, 96, 3), np.uint8)
    exact, rounded = (
        Runtime(joint_bundle, threads=1, precision=each).run(pixels) for each in ("f32", "bf16")
    )
    # Exactly the same if the processor has no such floats; eight bits of mantissa otherwise.
    np.testing.assert_allclose(rounded.mask, exact.mask, atol=0.05)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (32, 32), (33, 97), (64, 64)])
def test_any_size_gives_a_mask_of_that_size(
    runtime: Runtime, rng: np.random.Generator, height: int, width: int
) -> None:
    outputs = runtime.run(rng.integers(0, 256, (height, width, 3), np.uint8))
    assert outputs.mask is not None
    assert outputs.mask.shape == (height, width)
    assert outputs.type is not None
    assert outputs.type.sum() == pytest.approx(1)
    assert outputs.score is not None
    assert 0 <= outputs.score <= 1


def test_padding_does_not_change_what_lies_inside(runtime: Runtime, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
    whole, part = runtime.run(pixels).mask, runtime.run(pixels[:50, :50]).mask
    assert whole is not None
    assert part is not None
    # The tiny network sees four pixels in each direction.
    np.testing.assert_allclose(part[:45, :45], whole[:45, :45], atol=1e-6)


def test_threads_share_a_runtime_and_get_the_same_bytes(runtime: Runtime, rng: np.random.Generator) -> None:
    tiles = [rng.integers(0, 256, (size, 64, 3), np.uint8) for size in (40, 64, 100, 128)] * 4
    alone = [runtime.run(tile) for tile in tiles]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(runtime.run, tiles))
    for expected, found in zip(alone, together, strict=True):
        assert expected.mask is not None
        assert found.mask is not None
        assert expected.mask.tobytes() == found.mask.tobytes()
        assert expected.score == found.score


def test_a_pair_runs_both_of_its_networks(pair_bundle: Bundle, rng: np.random.Generator) -> None:
    outputs = Runtime(pair_bundle, threads=1).run(rng.integers(0, 256, (64, 64, 3), np.uint8))
    assert outputs.mask is not None
    assert outputs.type is not None
    assert outputs.score is None


def test_a_graph_openvino_cannot_read_is_a_bundle_error(joint_bundle: Bundle, tmp_path) -> None:
    (tmp_path / "joint.onnx").write_bytes(b"not a graph")
    with pytest.raises(BundleError, match=r"joint\.onnx"):
        Runtime(dataclasses.replace(joint_bundle, path=tmp_path))


class TestCache:
    """Compiled models on disk, which spare OpenVINO the compilation."""

    @pytest.fixture
    def compilations(self, monkeypatch) -> list[str]:
        compilations: list[str] = []
        compile_network = OpenVinoNetwork._compile

        def counted(network):
            compilations.append(network._graph_file)
            return compile_network(network)

        monkeypatch.setattr(OpenVinoNetwork, "_compile", counted)
        return compilations

    def test_the_second_start_compiles_nothing_and_has_the_same_outputs(
        self, pair_bundle: Bundle, rng: np.random.Generator, tmp_path, compilations
    ) -> None:
        tile = rng.integers(0, 256, (64, 64, 3), np.uint8)

        first, second = (Runtime(pair_bundle, threads=1, cache=tmp_path / "new").run(tile) for _ in range(2))

        assert compilations == ["segmentation.onnx", "classification.onnx"]
        assert first.mask.tobytes() == second.mask.tobytes()
        assert first.type.tobytes() == second.type.tobytes()

    def test_another_bundle_or_thread_count_never_reuses_an_old_model(
        self, joint_bundle: Bundle, tmp_path, compilations
    ) -> None:
        changed = dataclasses.replace(joint_bundle.identity, sha256="1" * 64)
        Runtime(joint_bundle, threads=1, cache=tmp_path)
        Runtime(joint_bundle, threads=2, cache=tmp_path)
        Runtime(dataclasses.replace(joint_bundle, identity=changed), threads=1, cache=tmp_path)

        assert len(compilations) == 3

    @pytest.mark.parametrize("damage", ["cut off", "flipped", "empty", "refused by OpenVINO"])
    def test_a_damaged_file_is_compiled_again(
        self, joint_bundle: Bundle, tmp_path, compilations, caplog, damage
    ) -> None:
        Runtime(joint_bundle, threads=1, cache=tmp_path)
        (file,) = tmp_path.iterdir()
        good = file.read_bytes()
        bad = {
            "cut off": good[:-1],
            "flipped": good[:-100] + bytes([good[-100] ^ 1]) + good[-99:],
            "empty": b"",
            "refused by OpenVINO": hashlib.sha256(good[32:99]).digest() + good[32:99],
        }[damage]
        file.write_bytes(bad)

        for _ in range(2):
            Runtime(joint_bundle, threads=1, cache=tmp_path)

        assert len(compilations) == 2
        assert "compiled again" in caplog.text
        assert list(tmp_path.iterdir()) == [file]

    def test_a_full_disk_is_a_warning(self, joint_bundle: Bundle, tmp_path, monkeypatch, caplog) -> None:
        def full(self, target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "replace", full)

        Runtime(joint_bundle, threads=1, cache=tmp_path)

        assert "no space left on device" in caplog.text
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_made_is_a_warning(self, joint_bundle: Bundle, tmp_path, caplog) -> None:
        (tmp_path / "file").write_text("")

        Runtime(joint_bundle, threads=1, cache=tmp_path / "file" / "cache")

        assert "cannot be written: not a directory" in caplog.text

    def test_the_most_recently_used_models_are_kept(self, tmp_path) -> None:
        cache = CompiledModels(tmp_path)
        for number in range(4):
            cache.write(str(number), b"model")
            os.utime(tmp_path / f"{number}.compiled", (number, number))
        assert cache.read("0") == b"model"

        cache.write("4", b"model")

        assert [cache.read(str(number)) is not None for number in range(5)] == [True, False, True, True, True]

    def test_a_model_that_another_start_deleted_is_no_failure(self, tmp_path, monkeypatch, caplog) -> None:
        found = [tmp_path / "gone.compiled"]
        monkeypatch.setattr(Path, "glob", lambda *_: found)

        CompiledModels(tmp_path).write("a", b"model")

        assert caplog.text == ""

    def test_concurrent_starts_share_one_folder(self, joint_bundle: Bundle, tmp_path, rng) -> None:
        tile = rng.integers(0, 256, (64, 64, 3), np.uint8)
        with ThreadPoolExecutor(4) as pool:
            runtimes = list(pool.map(lambda _: Runtime(joint_bundle, threads=1, cache=tmp_path), range(8)))

        assert len({runtime.run(tile).mask.tobytes() for runtime in runtimes}) == 1
        assert [path.suffix for path in tmp_path.iterdir()] == [".compiled"]


def test_a_compiled_model_that_others_may_write_is_not_read(tmp_path, caplog):
    cache = CompiledModels(tmp_path)
    cache.write("a", b"model")
    assert cache.read("a") == b"model"

    (tmp_path / "a.compiled").chmod(0o666)

    assert cache.read("a") is None
    assert "another account" in caplog.text
