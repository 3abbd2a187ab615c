"""The original project's ways to start the server still work."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import nbformat
import PIL.Image
import pytest
from nbclient import NotebookClient

import tamperscope
from tamperscope.errors import SettingsError
from tamperscope.server import compat
from tamperscope.settings import Settings

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "deeplearningmodelrunsetup.ipynb"
SCRIPT = ROOT / "deeplearningmodelrunsetup.py"


class Imports(list):
    """The file names of each import, and what was told about them."""

    def __init__(self) -> None:
        super().__init__()
        self.told = []


@pytest.fixture
def imports(monkeypatch):
    """Record what is imported, and create an empty folder for each import."""
    calls = Imports()

    def import_checkpoints(segmentation, classification, out, *, options):
        calls.append((segmentation.name, classification.name))
        calls.told.append(options)
        out.mkdir(parents=True)

    module = SimpleNamespace(import_checkpoints=import_checkpoints, PairOptions=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "tamperscope.network.checkpoints", module)
    return calls


@pytest.fixture
def checkpoints(tmp_path):
    pair = tmp_path / "s.pth", tmp_path / "c.pth"
    for number, path in enumerate(pair):
        path.write_bytes(bytes([number]))
    return pair


def test_the_notebook_ends_with_an_answer_from_the_server_it_started(tmp_path, joint_bundle, monkeypatch):
    for variable in ("DEEP_LAB_CHECKPOINT", "CLASSIF_CHECKPOINT", "NGROK_TOKEN", "NGROK_AUTHTOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(tamperscope.__file__).parents[1]))
    monkeypatch.setenv("TAMPERSCOPE_PORT", "0")
    monkeypatch.setenv("TAMPERSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TAMPERSCOPE_MODEL", str(joint_bundle.path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)

    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()

    outputs = notebook.cells[-1].outputs
    assert "if manipulated, then by" in outputs[0].text
    overlay = PIL.Image.open(BytesIO(b64decode(outputs[1].data["image/png"])))
    assert overlay.size == (384, 256)


def test_the_notebook_asks_for_the_original_values():
    code = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]

    for variable in ("DEEP_LAB_CHECKPOINT", "CLASSIF_CHECKPOINT", "NGROK_TOKEN"):
        assert f'{variable} = ""' in code[0].source


def test_the_script_states_in_one_sentence_what_is_missing(checkpoints):
    done = subprocess.run(
        [sys.executable, SCRIPT],
        env={**os.environ, "DEEP_LAB_CHECKPOINT": str(checkpoints[0]), "CLASSIF_CHECKPOINT": ""},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "set CLASSIF_CHECKPOINT as well" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_script_without_the_package_says_what_to_install():
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # Without the installed packages.
    done = subprocess.run([sys.executable, "-S", SCRIPT], env=environment, capture_output=True, text=True)

    assert done.returncode == 1
    assert "python -m pip install ." in done.stderr
    assert "Traceback" not in done.stderr


def test_without_checkpoints_and_token_the_settings_are_the_defaults(tmp_path):
    assert compat.settings_for("", "", "", tmp_path, {}) == Settings()


@pytest.mark.parametrize("given", ["argument", "environment"])
def test_two_checkpoints_are_imported_and_served(tmp_path, imports, checkpoints, given):
    paths = [str(path) for path in checkpoints]
    if given == "argument":
        settings = compat.settings_for(*paths, "", tmp_path / "model", {})
    else:
        environment = dict(zip(("DEEP_LAB_CHECKPOINT", "CLASSIF_CHECKPOINT"), paths, strict=True))
        settings = compat.settings_for("", "", "", tmp_path / "model", environment)

    assert imports == [("s.pth", "c.pth")]
    assert settings.model.parent == tmp_path / "model"
    assert settings.model.is_dir()


def test_checkpoints_with_the_original_names_are_found(tmp_path, imports):
    for name in ("best_deeplabv3_defacto_last.pth", "best_resnet50_defacto.pth"):
        (tmp_path / name).write_bytes(name.encode())

    assert compat.settings_for("", "", "", tmp_path, {}).model.parent == tmp_path
    assert imports == [("best_deeplabv3_defacto_last.pth", "best_resnet50_defacto.pth")]


def test_unchanged_checkpoints_are_imported_once_and_changed_ones_again(tmp_path, imports, checkpoints):
    paths = [str(path) for path in checkpoints]

    first, again = (compat.settings_for(*paths, "", tmp_path, {}).model for _ in range(2))
    checkpoints[1].write_bytes(b"trained further")
    other = compat.settings_for(*paths, "", tmp_path, {}).model

    assert first == again != other
    assert len(imports) == 2


def test_what_checkpoints_do_not_say_is_read_from_the_environment(tmp_path, imports, checkpoints):
    paths = [str(path) for path in checkpoints]
    environment = {
        "DEEP_LAB_ENCODER": "efficientnet-b0",
        "CLASS_ORDER": "face, inpainting, copymove, splicing",
        "DEEP_LAB_SIZE": "512",
        "CLASSIF_SIZE": "224",
    }

    plain = compat.settings_for(*paths, "", tmp_path, {}).model
    told = compat.settings_for(*paths, "", tmp_path, environment).model

    assert plain != told
    options = imports.told[-1]
    assert options.segmentation_encoder == "efficientnet-b0"
    assert options.class_order == ("face", "inpainting", "copymove", "splicing")
    assert (options.segmentation_size, options.classification_size) == (512, 224)
    with pytest.raises(SettingsError, match="CLASSIF_SIZE is '9', but"):
        compat.settings_for(*paths, "", tmp_path, {"CLASSIF_SIZE": "9"})


@pytest.mark.parametrize("missing", ["DEEP_LAB_CHECKPOINT", "CLASSIF_CHECKPOINT"])
def test_one_checkpoint_alone_is_refused(tmp_path, checkpoints, missing):
    given = {"DEEP_LAB_CHECKPOINT": str(checkpoints[0]), "CLASSIF_CHECKPOINT": str(checkpoints[1])}
    del given[missing]

    with pytest.raises(SettingsError, match=f"set {missing} as well"):
        compat.settings_for("", "", "", tmp_path, given)


def test_a_missing_checkpoint_is_named(tmp_path, checkpoints):
    missing = tmp_path / "missing.pth"

    with pytest.raises(SettingsError, match=r"missing\.pth cannot be read: no such file"):
        compat.settings_for(str(missing), str(checkpoints[1]), "", tmp_path, {})


@pytest.mark.parametrize("given", ["argument", "environment"])
def test_a_token_opens_the_tunnel(tmp_path, given):
    if given == "argument":
        settings = compat.settings_for("", "", "2secret", tmp_path, {"NGROK_TOKEN": "another"})
    else:
        settings = compat.settings_for("", "", "", tmp_path, {"NGROK_TOKEN": "2secret"})

    assert (settings.tunnel, settings.ngrok_token) == ("ngrok", "2secret")
