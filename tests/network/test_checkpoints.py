from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from networks import random_network
from tamperscope.bundle import Architecture, Bundle
from tamperscope.errors import (
    BundleError,
    CheckpointError,
    MismatchedCheckpointError,
    UnsafeCheckpointError,
)
from tamperscope.network import checkpoints
from tamperscope.network.architectures import classification_network, segmentation_network
from tamperscope.network.checkpoints import (
    import_checkpoints,
    read_classification,
    read_segmentation,
    read_weights,
    save_checkpoint,
)
from tamperscope.network.export import read_network

StateDict = dict[str, Tensor]

WRAPPINGS: dict[str, Callable[[StateDict], Any]] = {
    "plain": lambda state: state,
    "ordered": OrderedDict,
    "state_dict": lambda state: {"state_dict": state, "epoch": 7, "best_iou": 0.62},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
    "model": lambda state: {"model": state, "lr": 1e-4},
    "DataParallel": lambda state: prefixed("module.", state),
    "Lightning": lambda state: {"state_dict": {**prefixed("model.", state), "loss.weight": torch.ones(4)}},
    "network": lambda state: prefixed("network.", state),
    "net in DataParallel": lambda state: {"model": prefixed("module.net.", state)},
}


def prefixed(prefix: str, state: StateDict) -> StateDict:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.fixture(scope="module")
def segmentation() -> nn.Module:
    return random_network(Architecture("deeplabv3plus", "resnet18", 1))


@pytest.fixture(scope="module")
def classification() -> nn.Module:
    return random_network(Architecture("resnet", "resnet18", 4))


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def write(document: Any, name: str = "checkpoint.pth") -> Path:
        torch.save(document, tmp_path / name)
        return tmp_path / name

    return write


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_both_networks_are_read_from_every_wrapping(
    segmentation: nn.Module, classification: nn.Module, save: Callable[..., Path], wrapping: str
) -> None:
    for network, read in [(segmentation, read_segmentation), (classification, read_classification)]:
        path = save(WRAPPINGS[wrapping](network.state_dict()))
        restored = read(path, "resnet18").network.state_dict()
        assert all(torch.equal(tensor, restored[name]) for name, tensor in network.state_dict().items())


def test_a_safetensors_file_is_read(classification: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(classification.state_dict(), path)
    restored = read_classification(path, "resnet18").network.state_dict()
    assert torch.equal(restored["fc.weight"], classification.state_dict()["fc.weight"])


def test_half_precision_is_read(classification: nn.Module, save: Callable[..., Path]) -> None:
    halved = {name: tensor.half() for name, tensor in classification.state_dict().items()}
    restored = read_classification(save(halved), "resnet18").network
    assert restored.fc.weight.dtype == torch.float32
    assert torch.equal(restored.fc.weight, halved["fc.weight"].float())


@pytest.mark.parametrize("channels", [1, 2])
def test_the_number_of_mask_channels_is_found(channels: int, save: Callable[..., Path]) -> None:
    path = save(segmentation_network("resnet18", channels).state_dict())
    assert read_segmentation(path, "resnet18").architecture == Architecture(
        "deeplabv3plus", "resnet18", channels
    )


def test_counters_missing_from_old_files_are_ignored(
    classification: nn.Module, save: Callable[..., Path]
) -> None:
    old = {name: t for name, t in classification.state_dict().items() if "num_batches" not in name}
    assert read_classification(save(old), "resnet18")


def test_a_checkpoint_of_ours_names_its_encoder(segmentation: nn.Module, tmp_path: Path) -> None:
    architecture = Architecture("deeplabv3plus", "resnet18", 1)
    save_checkpoint(segmentation, architecture, tmp_path / "best.pth")
    assert read_segmentation(tmp_path / "best.pth").architecture == architecture
    assert [path.name for path in tmp_path.iterdir()] == ["best.pth"]


class TestImport:
    @pytest.fixture
    def files(self, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp("checkpoints")
        paths = folder / "deeplab.pth", folder / "resnet.pth"
        for path in paths:
            path.write_bytes(path.name.encode())
        return paths

    @pytest.fixture(autouse=True)
    def _tiny_networks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Use tiny networks: these tests do not depend on the size of the networks."""

        def reads(name: str) -> Callable[..., checkpoints.ReadCheckpoint]:
            architecture = Architecture(f"tiny-{name}", "none", 1)
            return lambda path, _: checkpoints.ReadCheckpoint(
                random_network(architecture), architecture, path
            )

        for name in ("segmentation", "classification"):
            monkeypatch.setattr(checkpoints, f"read_{name}", reads(name))

    def test_a_bundle_of_both_networks_is_written(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        bundle = import_checkpoints(*files, tmp_path / "deep" / "mine")
        assert bundle == Bundle.load(tmp_path / "deep" / "mine")
        assert bundle.outputs == {"mask", "type"}
        assert bundle.calibration is None
        assert read_network(bundle, "segmentation")
        assert "Not calibrated" in (bundle.path / "README.md").read_text()

    def test_an_older_bundle_is_replaced_only_on_request(
        self, files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "mine"
        (out / "x").mkdir(parents=True)
        (out / "bundle.json").write_text("{}")
        with pytest.raises(BundleError, match="already"):
            import_checkpoints(*files, out)
        assert (out / "x").exists()
        assert import_checkpoints(*files, out, overwrite=True).networks
        assert not (out / "x").exists()

    def test_a_folder_of_something_else_is_never_replaced(
        self, files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        (tmp_path / "photo.jpg").write_bytes(b"precious")
        with pytest.raises(BundleError, match="is not a bundle"):
            import_checkpoints(*files, tmp_path, overwrite=True)

    def test_a_failed_import_leaves_nothing_behind(
        self, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(checkpoints, "write_network", fail)
        with pytest.raises(KeyboardInterrupt):
            import_checkpoints(*files, tmp_path / "mine")
        assert list(tmp_path.iterdir()) == []


class TestWrongFiles:
    def test_swapped_files_are_recognised(
        self, segmentation: nn.Module, classification: nn.Module, save: Callable[..., Path]
    ) -> None:
        with pytest.raises(MismatchedCheckpointError, match=r"a ResNet-18 with 4 classes: .*swapped"):
            read_segmentation(save(classification.state_dict()), "resnet18")
        with pytest.raises(MismatchedCheckpointError, match=r"DeepLabV3\+ with a ResNet-18 .*swapped"):
            read_classification(save(segmentation.state_dict()), "resnet18")

    def test_another_number_of_classes_is_named(self, save: Callable[..., Path]) -> None:
        path = save(classification_network(1000, "resnet18").state_dict())
        with pytest.raises(MismatchedCheckpointError) as caught:
            read_classification(path, "resnet18")
        assert "1000 classes, as trained on ImageNet" in str(caught.value)
        assert "fc.weight (1000, 512) instead of (4, 512)" in str(caught.value)

    def test_more_mask_channels_are_named(self, save: Callable[..., Path]) -> None:
        path = save(segmentation_network("resnet18", 21).state_dict())
        with pytest.raises(MismatchedCheckpointError, match="21 mask channels"):
            read_segmentation(path, "resnet18")

    def test_another_depth_is_named(self, classification: nn.Module, save: Callable[..., Path]) -> None:
        path = save(classification_network(4, "resnet34").state_dict())
        with pytest.raises(
            MismatchedCheckpointError, match=r"ResNet-34 with 4 classes.*unexpected: layer1\.2"
        ):
            read_classification(path, "resnet18")

    @pytest.mark.parametrize(
        ("names", "description"),
        [
            (["backbone.conv1.weight", "classifier.4.weight"], "torchvision's own segmentation network"),
            (["segmentation_head.0.weight", "decoder.aspp.convs.0.0.weight"], "without the plus"),
            (
                ["segmentation_head.0.weight", "decoder.blocks.0.conv1.0.weight"],
                "another segmentation_models",
            ),
            (["patch_embed.proj.weight"], "another network of 1 tensors"),
        ],
    )
    def test_other_networks_are_described(
        self, names: list[str], description: str, save: Callable[..., Path]
    ) -> None:
        path = save({name: torch.zeros(1, 1, 1, 1) for name in names})
        with pytest.raises(MismatchedCheckpointError, match=description):
            read_segmentation(path, "resnet18")


class Trojan:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
@pytest.mark.parametrize(
    "unsafe",
    [{"fc.weight": torch.zeros(1), "extra": Trojan()}, nn.Linear(1, 1), {"iou": np.float64(0.5)}],
    ids=["trojan", "whole model", "numpy scalar"],
)
def test_a_file_that_could_run_code_is_refused_with_advice(
    unsafe: Any, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(unsafe, "unsafe.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeCheckpointError, match=r"torch\.save\(model\.state_dict\(\)"):
        read_weights(Path("unsafe.pth"))
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["checkpoint.pth", "checkpoint.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"<html>404</html>", bytes(range(256)) * 8])
def test_a_file_that_is_not_a_checkpoint_is_reported(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"empty|damaged") as caught:
        read_weights(path)
    assert not isinstance(caught.value, UnsafeCheckpointError)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_damaged(
    classification: nn.Module, save: Callable[..., Path], share: float
) -> None:
    path = save(classification.state_dict())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="damaged"):
        read_weights(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pth cannot be read: No such file"):
        read_weights(tmp_path / "none.pth")


def test_a_file_without_weights_is_reported_with_its_contents(save: Callable[..., Path]) -> None:
    with pytest.raises(CheckpointError, match="contains no weights; found: epoch, lr"):
        read_weights(save({"epoch": 3, "lr": 0.1}))


def test_a_diverged_training_is_noticed(classification: nn.Module, save: Callable[..., Path]) -> None:
    diverged = {**classification.state_dict(), "fc.bias": torch.full((4,), float("nan"))}
    with pytest.raises(CheckpointError, match=r"not finite in fc\.bias"):
        read_classification(save(diverged), "resnet18")
