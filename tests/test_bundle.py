from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

import tamperscope.bundle
from tamperscope.bundle import (
    Bundle,
    Preprocessing,
    default_bundle_path,
    list_bundles,
    write_manifest,
)
from tamperscope.calibration import Calibration
from tamperscope.errors import BundleError
from tamperscope.report import OperatingPoints


@pytest.fixture
def folder(joint_bundle: Bundle, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(joint_bundle.path, tmp_path / "model")


def edit(folder: Path, **changes: Any) -> None:
    manifest = folder / "bundle.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))


def test_what_is_written_is_what_is_read(joint_bundle: Bundle, folder: Path) -> None:
    calibration = Calibration(
        {"network_map": 1.5, "area": -0.25},
        dict.fromkeys(("network_map", "area"), 0.0),
        0.1,
        OperatingPoints(0.2, 0.7, 0.02, 0.1, 200, 300),
    )
    written = write_manifest(
        folder,
        name="mine",
        version="2.1.0",
        networks=joint_bundle.networks,
        preprocessing=Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 32),
        threshold=0.35,
        smallest_region=0.001,
        calibration=calibration,
    )
    assert written == Bundle.load(folder)
    assert written.networks == joint_bundle.networks
    assert written.preprocessing == Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 32)
    assert (written.threshold, written.smallest_region) == (0.35, 0.001)
    assert written.calibration == calibration
    assert written.identity.version == "2.1.0"


def test_any_change_of_a_manifest_changes_the_identity(joint_bundle: Bundle, folder: Path) -> None:
    edit(folder, threshold=0.4)
    changed = Bundle.load(folder)
    assert changed.identity.sha256 != joint_bundle.identity.sha256
    assert dataclasses.replace(changed.identity, sha256="") == dataclasses.replace(
        joint_bundle.identity, sha256=""
    )


@pytest.mark.parametrize("name", ["joint.onnx", "joint.safetensors", "README.md"])
def test_an_altered_file_is_noticed(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} was altered"):
        Bundle.load(folder)


def test_a_truncated_file_is_noticed(folder: Path) -> None:
    weights = folder / "joint.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(BundleError, match="cut off"):
        Bundle.load(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "joint.safetensors").unlink()
    with pytest.raises(BundleError, match=r"incomplete: joint\.safetensors is missing"):
        Bundle.load(folder)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a bundle"):
        Bundle.load(tmp_path)


def test_a_later_schema_is_refused_by_its_number(folder: Path) -> None:
    edit(folder, schema=2)
    with pytest.raises(BundleError, match="schema 2; this version reads schema 1"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 1.5},
        {"threshold": "high"},
        {"smallest_region": -0.1},
        {"networks": []},
        {"networks": [{"name": "joint"}]},
        {"preprocessing": {"mean": [0, 0, 0], "std": [1, 0, 1], "multiple": 16}},
        *(
            {"preprocessing": {"mean": [0, 0, 0], "std": [1, 1, 1], "multiple": multiple}}
            for multiple in (0, 10**5, 10**9)
        ),
        {"calibration": {"coefficients": {}}},
        {"files": []},
    ],
    ids=str,
)
def test_a_manifest_of_nonsense_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    edit(folder, **changes)
    with pytest.raises(BundleError, match="not a manifest that this version understands"):
        Bundle.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match="not a manifest"):
        Bundle.load(folder)


@pytest.mark.parametrize("name", ["bundle.json", "joint.onnx", "joint.safetensors"])
def test_a_pipe_in_place_of_a_file_is_refused_at_once(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(BundleError, match="not a regular file"):
        Bundle.load(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a\\b", "..", ""])
def test_a_file_outside_the_folder_is_refused(folder: Path, name: str) -> None:
    edit(folder, files={name: {"bytes": 1, "sha256": ""}})
    with pytest.raises(BundleError, match="not a plain file name"):
        Bundle.load(folder)


def test_a_network_the_manifest_has_no_digest_of_is_refused(folder: Path) -> None:
    edit(folder, files={})
    with pytest.raises(BundleError, match=r"does not list joint\.onnx"):
        Bundle.load(folder)


@pytest.mark.parametrize("place", ["initializer", "constant"])
def test_a_graph_that_reads_other_files_is_refused(folder: Path, joint_bundle: Bundle, place: str) -> None:
    path = folder / "joint.onnx"
    model = onnx.load(path, load_external_data=False)
    outside = onnx.TensorProto(name="x", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="../../etc/passwd")
    if place == "initializer":
        model.graph.initializer.append(outside)
    else:
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["x"], value=outside))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="takes weights from outside"):
        write_manifest(
            folder,
            name="evil",
            version="1",
            networks=joint_bundle.networks,
            preprocessing=joint_bundle.preprocessing,
        )


def test_a_bundle_needs_its_files_first(joint_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"joint\.onnx, joint\.safetensors must be written first"):
        write_manifest(
            tmp_path, name="x", version="1", networks=joint_bundle.networks, preprocessing=Preprocessing()
        )


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that this code seems to run from: a checkout, once it has a pyproject.toml and a model."""
    monkeypatch.delenv("TAMPERSCOPE_MODEL", raising=False)
    checkout = tmp_path / "checkout"
    package = checkout / "src" / "tamperscope"
    monkeypatch.setattr(tamperscope.bundle, "__file__", str(package / "bundle.py"))
    package.mkdir(parents=True)
    return checkout


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text("{}")
    return folder


def install_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    installed = make_model(folder / "site-packages" / "tamperscope_model")
    (installed / "__init__.py").touch()
    monkeypatch.syspath_prepend(installed.parent)
    return installed


def test_the_default_model_is_the_environments_else_the_checkouts_else_the_installed_one(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = install_model(tmp_path, monkeypatch)
    assert default_bundle_path() == installed

    make_model(checkout / "model")
    # Not a checkout yet: a package may be installed below a folder that has a `model/`.
    assert default_bundle_path() == installed
    (checkout / "pyproject.toml").touch()
    assert default_bundle_path() == checkout / "model"

    monkeypatch.setenv("TAMPERSCOPE_MODEL", "/elsewhere")
    assert default_bundle_path() == Path("/elsewhere")


def test_the_working_directory_never_gives_the_model(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded = tmp_path / "downloaded"
    make_model(downloaded / "model")
    make_model(downloaded / "tamperscope_model")
    monkeypatch.syspath_prepend(downloaded)
    monkeypatch.chdir(downloaded)

    with pytest.raises(
        BundleError, match=r"pip install 'tamperscope\[model\]'.*--model or TAMPERSCOPE_MODEL"
    ):
        default_bundle_path()


def test_bundles_are_listed_in_a_folder_and_one_below(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "another")
    (folder.parent / "photos").mkdir()
    assert list_bundles(folder.parent) == (folder.parent / "another", folder)
    assert list_bundles(folder) == (folder,)
    assert list_bundles(folder / "nowhere") == ()
