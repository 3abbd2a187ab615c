from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import PIL.Image
import pytest
from click.testing import CliRunner
from torch import Tensor, nn
from torch.nn import functional

import samples
import tamperscope.images
from networks import random_network
from tamperscope.bundle import Architecture, Bundle, Preprocessing, write_manifest
from tamperscope.cli import main
from tamperscope.detector import Detector
from tamperscope.errors import BundleError
from tamperscope.inference.runtime import Runtime
from tamperscope.network.architectures import Family, register
from tamperscope.network.export import write_network
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


def test_the_integer_graph_agrees_closely_but_not_exactly(quantised_bundle: Bundle) -> None:
    pixels = samples.photo(128, 64, seed=9)

    exact = Runtime(quantised_bundle, threads=1, precision="f32").run(pixels)
    integers = Runtime(quantised_bundle, threads=1).run(pixels)

    assert exact.mask.std() > 0.02
    # Weights have 7 bits and activations 8, and the logits span a few units.
    np.testing.assert_allclose(integers.mask, exact.mask, atol=0.02)
    assert not np.array_equal(integers.mask, exact.mask)


class ResidualNetwork(nn.Module):
    """The beginning of a ResNet: a convolution, pooling, and a block with a convolution in its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.main = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.shortcut = nn.Sequential(nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16))
        self.head = nn.Conv2d(16, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        small = self.first(image)
        logits = self.head(functional.relu(self.main(small) + self.shortcut(small)))
        return functional.interpolate(logits, scale_factor=2.0, mode="bilinear")


register("residual", Family(("mask",), lambda architecture: ResidualNetwork()))


def test_pooling_and_shortcuts_compute_in_integers(tmp_path: Path) -> None:
    architecture = Architecture("residual", "none", 1)
    network = write_network(random_network(architecture), architecture, tmp_path, "residual")
    preprocessing = Preprocessing(multiple=2)
    tiles = [normalised_tile(samples.photo(64, 64, seed), preprocessing) for seed in range(4)]
    network = quantise(tmp_path, network, tiles)

    graph = onnx.load(tmp_path / network.quantised_graph_file, load_external_data=False).graph
    maker = {name: node for node in graph.node for name in node.output}
    for kind, count in (("MaxPool", 1), ("Add", 1)):
        nodes = [node for node in graph.node if node.op_type == kind]
        assert len(nodes) == 1
        made_by = [maker[name].op_type for name in nodes[0].input]
        assert made_by.count("DequantizeLinear") == count

    bundle = write_manifest(
        tmp_path, name="residual", version="1", networks=[network], preprocessing=preprocessing
    )
    pixels = samples.photo(64, 64, seed=9)
    exact = Runtime(bundle, threads=1, precision="f32").run(pixels).mask
    integers = Runtime(bundle, threads=1).run(pixels).mask
    np.testing.assert_allclose(integers, exact, atol=0.03)


def test_the_exact_graph_and_the_weights_stay_as_they_were(
    joint_bundle: Bundle, quantised_bundle: Bundle
) -> None:
    network = joint_bundle.networks[0]
    for name in (network.graph_file, network.weights_file):
        assert (quantised_bundle.path / name).read_bytes() == (joint_bundle.path / name).read_bytes()
    assert {path.name for path in quantised_bundle.path.iterdir()} == {
        path.name for path in joint_bundle.path.iterdir()
    } | {"joint.int8.onnx"}


def test_the_manifest_lists_and_verifies_the_integer_graph(quantised_bundle: Bundle, tmp_path) -> None:
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


def test_a_photo_that_cannot_be_read_is_passed_over(
    joint_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed.jpg").touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tamperscope.images, "read_image", refuse)
    result = CliRunner().invoke(main, ["quantize", str(joint_bundle.path), "--photos", str(tmp_path)])

    assert result.exit_code == 2
    assert "no photo" in result.output


def test_a_folder_without_photos_is_a_usage_error(joint_bundle: Bundle, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["quantize", str(joint_bundle.path), "--photos", str(tmp_path)])

    assert result.exit_code == 2
    assert "no photo" in result.output
