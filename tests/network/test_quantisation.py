from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

import samples
from tamperscope.bundle import Bundle, write_manifest
from tamperscope.cli import main
from tamperscope.detector import Detector
from tamperscope.errors import BundleError
from tamperscope.inference.runtime import Runtime
from tamperscope.network.quantisation import normalised_tile, quantise


@pytest.fixture(scope="module")
def quantised_bundle(joint_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / "quantised"
    shutil.copytree(joint_bundle.path, folder)
    tiles = [normalised_tile(samples.photo(64, 64, seed), joint_bundle.preprocessing) for seed in range(4)]
    network = quantise(folder, joint_bundle.networks[0], tiles)
    return write_manifest(
        folder, name="tiny", version="1", networks=[network], preprocessing=joint_bundle.preprocessing
    )


def test_integers_say_nearly_the_same_and_not_exactly(quantised_bundle: Bundle) -> None:
    pixels = samples.photo(128, 64, seed=9)

    exact = Runtime(quantised_bundle, threads=1, precision="f32").run(pixels)
    integers = Runtime(quantised_bundle, threads=1).run(pixels)

    assert exact.mask.std() > 0.02
    # Weights of 7 bits and activations of 8, over logits that span a few units.
    np.testing.assert_allclose(integers.mask, exact.mask, atol=0.02)
    assert not np.array_equal(integers.mask, exact.mask)


def test_the_exact_graph_and_the_weights_stay_as_they_were(
    joint_bundle: Bundle, quantised_bundle: Bundle
) -> None:
    network = joint_bundle.networks[0]
    for name in (network.graph_file, network.weights_file):
        assert (quantised_bundle.path / name).read_bytes() == (joint_bundle.path / name).read_bytes()
    assert {path.name for path in quantised_bundle.path.iterdir()} == {
        path.name for path in joint_bundle.path.iterdir()
    } | {"joint.int8.onnx"}


def test_the_manifest_remembers_and_verifies_the_integer_graph(quantised_bundle: Bundle, tmp_path) -> None:
    copy = shutil.copytree(quantised_bundle.path, tmp_path / "copy")
    assert Bundle.load(copy).networks[0].quantised

    (copy / "joint.int8.onnx").write_bytes(b"cut off")

    with pytest.raises(BundleError, match=r"joint\.int8\.onnx was altered"):
        Bundle.load(copy)


def test_the_command_adds_integers_to_a_bundle(joint_bundle: Bundle, tmp_path: Path) -> None:
    bundle = shutil.copytree(joint_bundle.path, tmp_path / "bundle")
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(3):
        PIL.Image.fromarray(samples.photo(200, 100, seed)).save(photos / f"{seed}.jpg")
    (photos / "notes.txt").write_text("no photo")

    result = CliRunner().invoke(main, ["quantize", str(bundle), "--photos", str(photos)])

    assert result.exit_code == 0, result.output
    assert "3 photos" in result.output
    assert Bundle.load(bundle).networks[0].quantised
    Detector.load(bundle).warm_up()


def test_a_folder_without_photos_is_wrong_use(joint_bundle: Bundle, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["quantize", str(joint_bundle.path), "--photos", str(tmp_path)])

    assert result.exit_code == 2
    assert "no photo" in result.output
