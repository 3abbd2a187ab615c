"""`tamperscope release` and `calibrate`, with a small network on small images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from tamperscope.bundle import Architecture, Bundle
from tamperscope.cli import main
from tamperscope.detector import Detector
from tamperscope.network.architectures import build
from tamperscope.network.checkpoints import save_checkpoint
from tamperscope.network.export import read_network

ARCHITECTURE = Architecture("joint", "mobilenet_v2", 1)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty photos, of which training holds out the last two."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(20):
        coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
        smooth = cv2.resize(coarse, (200, 150), interpolation=cv2.INTER_CUBIC)
        noisy = smooth + rng.normal(0, 6, smooth.shape)
        cv2.imwrite(str(folder / f"{number:02}.jpg"), noisy.clip(0, 255).astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def training_run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose network still has its random weights."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    save_checkpoint(build(ARCHITECTURE), ARCHITECTURE, folder / "best.pth")
    (folder / "config.yaml").write_text(f"synthetic: {{photos: {photos}, size: 64}}\nbudget: {{steps: 1}}\n")
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights from which that run would have started."""
    path = tmp_path_factory.mktemp("start") / "start.pth"
    torch.manual_seed(1)
    save_checkpoint(build(ARCHITECTURE), ARCHITECTURE, path)
    return path


@pytest.fixture(scope="module", autouse=True)
def _small_images() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamperscope.training.release.SIZES", {96: 0.5, 128: 0.5})
        patch.setattr("tamperscope.training.release._QUANTISED_OVER", 4)
        yield


@pytest.fixture(scope="module")
def released(training_run: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("released") / "bundle"
    mean = "--mean-with", start, "--share", 0.25
    result = run("release", training_run, "--out", out, "--count", 24, "--version", "3.0.0", "--json", *mean)
    assert result.exit_code == 0, result.output
    metrics = json.loads(result.stdout)
    assert metrics["forged"] + metrics["authentic"] == 24
    return out


def test_a_released_bundle_gives_verdicts(released: Path) -> None:
    bundle = Bundle.load(released)
    assert bundle.identity.version == "3.0.0"
    assert [network.quantised_graph_file for network in bundle.networks] == ["joint.int8.onnx"]
    report = Detector.load(bundle, threads=1).analyze(np.full((96, 96, 3), 128, np.uint8))
    assert report.operating_points is not None


def test_a_released_network_is_a_mean_with_its_start(released: Path, training_run: Path, start: Path) -> None:
    trained, started = (
        torch.load(path, weights_only=True)["state_dict"] for path in (training_run / "best.pth", start)
    )
    shipped = read_network(Bundle.load(released), "joint").state_dict()
    name = "mask_head.weight"
    assert torch.allclose(shipped[name].float(), 0.25 * trained[name] + 0.75 * started[name], atol=1e-3)


def test_a_bundle_is_calibrated_again_on_files_as_found(released: Path, photos: Path, tmp_path: Path) -> None:
    bundle, files = tmp_path / "bundle", tmp_path / "files"
    shutil.copytree(released, bundle)
    files.mkdir()
    for name in ("00.jpg", "01.jpg"):
        shutil.copy(photos / name, files)
    (files / "broken.jpg").write_bytes((photos / "02.jpg").read_bytes()[:200])
    before = Bundle.load(bundle)

    arguments = "--photos", photos, "--authentic", files, "--count", 20, "--version", "3.1.0", "--json"
    result = run("calibrate", bundle, *arguments)

    assert result.exit_code == 0, result.output
    after, metrics = Bundle.load(bundle), json.loads(result.stdout)
    assert "broken.jpg" in result.stderr
    assert after.identity.version == "3.1.0"
    assert after.identity.networks == before.identity.networks
    assert after.calibration.operating_points.authentic_images == metrics["authentic"] + 2
    assert "corrections" not in metrics


def test_the_photos_of_a_run_on_a_dataset_must_be_given(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("dataset: {path: data}\nbudget: {steps: 1}\n")
    result = run("release", tmp_path, "--out", tmp_path / "bundle")
    assert result.exit_code == 2
    assert "Give --photos to calibrate the bundle on." in result.stderr


def test_a_calibration_that_is_stopped_changes_nothing(
    released: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(released, bundle)
    before = (bundle / "bundle.json").read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tamperscope.training.release.fit", stop)
    assert run("calibrate", bundle, "--photos", photos, "--count", 20).exit_code != 0
    assert (bundle / "bundle.json").read_bytes() == before
