from __future__ import annotations

import argparse
import collections
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import samples
from networks import random_network
from tamperscope.bundle import Architecture, Bundle, Preprocessing
from tamperscope.detector import Detector
from tamperscope.errors import (
    BundleError,
    CheckpointError,
    MismatchedCheckpointError,
    UnsafeCheckpointError,
)
from tamperscope.network import checkpoints
from tamperscope.network._torchvision import smp
from tamperscope.network.architectures import classification_network, segmentation_network
from tamperscope.network.checkpoints import (
    PairOptions,
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
    "another key": lambda state: {"net": state, "epoch": torch.tensor(5), "rate": torch.zeros(2)},
    "state and average": lambda state: {"state_dict": state, "ema": prefixed("module.", state)},
    "in a list": lambda state: [{"epoch": 1}, state],
    "stochastic averaging": lambda state: {"n_averaged": torch.tensor(4), **prefixed("module.", state)},
    "beside numbers of NumPy": lambda state: {
        "model": state,
        "iou": np.float64(0.7),
        "losses": [np.float32(1)],
        "history": np.zeros(3),
    },
    "beside the training's settings": lambda state: {
        "model": state,
        "args": argparse.Namespace(lr=1e-4, data=Path("/data")),
        "history": collections.defaultdict(list),
    },
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


def same(network: nn.Module, state: StateDict) -> bool:
    restored = network.state_dict()
    return all(torch.equal(restored[name], tensor) for name, tensor in state.items())


class TestRecognition:
    """Without the name of an encoder."""

    @pytest.mark.parametrize(
        ("family", "encoder"),
        [
            ("deeplabv3plus", "resnet18"),
            ("deeplabv3plus", "efficientnet-b0"),
            ("deeplabv3plus", "efficientnet-b2"),
            ("deeplabv3", "resnet18"),
            ("unet", "resnet34"),
            ("fpn", "mobilenet_v2"),
            # DeepLab cannot have this encoder.
            ("unet", "vgg11_bn"),
        ],
    )
    def test_a_segmentation_network_is_recognised_by_its_tensors(
        self, family: str, encoder: str, save: Callable[..., Path]
    ) -> None:
        state = segmentation_network(encoder, 2, family).state_dict()
        found = read_segmentation(save({"model": prefixed("module.", state)}))
        assert found.architecture == Architecture(family, encoder, 2)
        assert same(found.network, state)

    @pytest.mark.parametrize(
        "encoder", ["resnet18", "resnext50_32x4d", "efficientnet_b0", "efficientnet-b0", "efficientnet-b1"]
    )
    def test_a_classifier_is_recognised_by_its_tensors(self, encoder: str, save: Callable[..., Path]) -> None:
        state = classification_network(4, encoder).state_dict()
        found = read_classification(save(prefixed("backbone.", state)))
        assert found.architecture.encoder == encoder
        assert same(found.network, state)

    @pytest.mark.parametrize(
        ("encoder", "head", "layer"),
        [
            ("resnet18", "fc", "fc.1"),
            ("efficientnet_b0", "classifier.1", "classifier"),
            ("efficientnet-b0", "_fc", "_fc.1"),
        ],
    )
    def test_dropout_before_the_last_layer_changes_only_a_name(
        self, encoder: str, head: str, layer: str, save: Callable[..., Path]
    ) -> None:
        state = classification_network(4, encoder).state_dict()
        renamed = {name.replace(f"{head}.", f"{layer}.", 1) if name.startswith(f"{head}.") else name: tensor
                   for name, tensor in state.items()}  # fmt: skip
        assert same(read_classification(save(renamed)).network, state)

    def test_a_head_of_two_layers_is_named(
        self, classification: nn.Module, save: Callable[..., Path]
    ) -> None:
        state = {name: t for name, t in classification.state_dict().items() if not name.startswith("fc.")}
        for layer, shape in (("fc.0", (256, 512)), ("fc.3", (4, 256))):
            state |= {f"{layer}.weight": torch.zeros(shape), f"{layer}.bias": torch.zeros(shape[0])}
        with pytest.raises(MismatchedCheckpointError, match="a classifier with 2 last layers"):
            read_classification(save(state))

    def test_the_auxiliary_output_of_smp_is_left_out(
        self, segmentation: nn.Module, save: Callable[..., Path]
    ) -> None:
        state = segmentation.state_dict()
        auxiliary = {"classification_head.3.weight": torch.zeros(4, 512)}
        assert same(read_segmentation(save(state | auxiliary)).network, state)

    def test_a_decoder_that_cannot_be_exported_is_named(self, save: Callable[..., Path]) -> None:
        state = smp.PSPNet("resnet18", encoder_weights=None, classes=1).state_dict()
        with pytest.raises(MismatchedCheckpointError, match="PSPNet"):
            read_segmentation(save(state))

    def test_an_unknown_classifier_lists_the_known_ones(
        self, classification: nn.Module, save: Callable[..., Path]
    ) -> None:
        with pytest.raises(CheckpointError, match=r"no classifier 'resnet19'; choose one of resnet50"):
            read_classification(save(classification.state_dict()), "resnet19")


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

    def test_sizes_are_kept_in_the_bundle_and_on_its_card(
        self, files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        options = PairOptions(segmentation_size=64, classification_size=32)
        bundle = import_checkpoints(*files, tmp_path / "mine", options=options)
        assert [network.input_size for network in bundle.networks] == [64, 32]
        assert bundle.scales_images
        assert "squares of 64 pixels" in (bundle.path / "README.md").read_text()

    def test_one_size_alone_is_refused(self) -> None:
        with pytest.raises(CheckpointError, match="of both networks, or of neither"):
            PairOptions(segmentation_size=512)

    def test_an_incomplete_order_is_refused(self) -> None:
        with pytest.raises(CheckpointError, match="each manipulation type once"):
            PairOptions(class_order=("splicing", "copymove", "copymove", "face"))


def test_a_pair_with_sizes_and_an_order_answers_as_its_owner_knows(
    segmentation: nn.Module, classification: nn.Module, save: Callable[..., Path], tmp_path: Path
) -> None:
    """As in the usual script: scale to a square, normalise, run the network, scale the mask back."""
    order = ("face", "splicing", "inpainting", "copymove")
    bundle = import_checkpoints(
        save(segmentation.state_dict(), "s.pth"),
        save(classification.state_dict(), "c.pth"),
        tmp_path / "mine",
        options=PairOptions(class_order=order, segmentation_size=96, classification_size=64),
    )
    image = samples.photo(200, 120)

    report = Detector.load(bundle, use_evidence=False, cache=None).analyze(image)

    with torch.inference_mode():
        kinds = classification(prepared(image, 64)).softmax(dim=1)[0].tolist()
        mask = torch.sigmoid(segmentation(prepared(image, 96)))
        mask = nn.functional.interpolate(mask, image.shape[:2], mode="bilinear")[0, 0].numpy()
    assert report.type_scores == pytest.approx(dict(zip(order, kinds, strict=True)), abs=2e-3)
    np.testing.assert_allclose(report.heatmap, mask, atol=5e-3)


def prepared(image: np.ndarray, side: int) -> Tensor:
    picture = PIL.Image.fromarray(image).resize((side, side), PIL.Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1) for values in (Preprocessing().mean, Preprocessing().std)
    )
    return (pixels - mean) / std


class TestWrongFiles:
    def test_swapped_files_are_recognised(
        self, segmentation: nn.Module, classification: nn.Module, save: Callable[..., Path]
    ) -> None:
        with pytest.raises(MismatchedCheckpointError, match=r"a ResNet-18 with 4 classes: .*swapped"):
            read_segmentation(save(classification.state_dict()), "resnet18")
        with pytest.raises(MismatchedCheckpointError, match=r"DeepLabV3\+ with a ResNet-18 .*swapped"):
            read_classification(save(segmentation.state_dict()), "resnet18")

    def test_swapped_files_are_recognised_without_the_name_of_an_encoder(
        self, segmentation: nn.Module, classification: nn.Module, save: Callable[..., Path]
    ) -> None:
        with pytest.raises(MismatchedCheckpointError, match="swapped"):
            read_segmentation(save(classification.state_dict()))
        with pytest.raises(MismatchedCheckpointError, match="swapped"):
            read_classification(save(segmentation.state_dict()))

    def test_another_number_of_classes_is_named(self, save: Callable[..., Path]) -> None:
        path = save(classification_network(1000, "resnet18").state_dict())
        with pytest.raises(MismatchedCheckpointError) as caught:
            read_classification(path, "resnet18")
        assert "1000 classes, as trained on ImageNet" in str(caught.value)
        assert "fc.weight (1000, 512) instead of (4, 512)" in str(caught.value)

    def test_more_mask_channels_are_named(self, save: Callable[..., Path]) -> None:
        path = save(segmentation_network("resnet18", 21).state_dict())
        for encoder in (None, "resnet18"):
            with pytest.raises(
                MismatchedCheckpointError, match=r"21 mask channels \(shapes: segmentation_head"
            ):
                read_segmentation(path, encoder)

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
    [
        {"fc.weight": torch.zeros(1), "extra": Trojan()},
        nn.Linear(1, 1),
        {"fc.weight": torch.zeros(1), "history": np.array([Trojan()])},
        {"fc.weight": torch.zeros(1), "history": collections.defaultdict(print)},
    ],
    ids=["trojan", "whole model", "trojan in an array", "a function as default"],
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


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>Virus scan warning</html>", "a web page"),
    ],
)
def test_what_is_often_downloaded_instead_is_recognised(content: bytes, hint: str, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=hint):
        read_weights(tmp_path / "weights.pth")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_program_is_recognised(tmp_path: Path) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "program.pt")
    with pytest.raises(CheckpointError, match=r"TorchScript program.*state_dict"):
        read_weights(tmp_path / "program.pt")


def test_safetensors_are_recognised_by_content(classification: nn.Module, tmp_path: Path) -> None:
    safetensors.torch.save_file(classification.state_dict(), tmp_path / "pytorch_model.bin")
    assert same(read_classification(tmp_path / "pytorch_model.bin").network, classification.state_dict())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pth cannot be read: No such file"):
        read_weights(tmp_path / "none.pth")


def test_a_file_without_weights_is_reported_with_its_contents(save: Callable[..., Path]) -> None:
    with pytest.raises(CheckpointError, match="contains no weights; found: epoch, lr"):
        read_weights(save({"epoch": 3, "lr": 0.1}))


def test_a_wrapping_that_holds_itself_is_opened_only_so_often(save: Callable[..., Path]) -> None:
    document: dict[str, Any] = {"weight": torch.zeros(3)}
    document["model"] = document
    assert read_weights(save(document)).tensors.keys() == {"weight"}


@pytest.mark.parametrize("classes", ["four", None])
def test_an_architecture_that_is_not_ours_is_passed_over(classes: object, save: Callable[..., Path]) -> None:
    noted = {"name": "unet", "encoder": "resnet18", "classes": classes}
    assert read_weights(save({"architecture": noted, "weight": torch.zeros(3)})).architecture is None


def test_a_diverged_training_is_noticed(classification: nn.Module, save: Callable[..., Path]) -> None:
    diverged = {**classification.state_dict(), "fc.bias": torch.full((4,), float("nan"))}
    with pytest.raises(CheckpointError, match=r"not finite in fc\.bias"):
        read_classification(save(diverged), "resnet18")
