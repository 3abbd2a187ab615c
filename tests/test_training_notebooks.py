"""The training notebooks run from top to bottom, and end with a response from a server with their network.

All notebooks show what they print, from a run of docs/notebooks.py.
"""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nbformat
import PIL.Image
import pytest
from nbclient import NotebookClient

import tamperscope

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "trainingFiles"
NOTEBOOKS = [ROOT / "deeplearningmodelrunsetup.ipynb", *sorted(FOLDER.glob("*.ipynb"))]
# Folders that name a machine or a user.
MACHINE = re.compile(r"Traceback|site-packages|/(?:home|root|Users|tmp|work|opt)/\S*")
SMALL = {
    "FORGERIES = 5000": "FORGERIES = 40",
    "SIZE = 512": "SIZE = 96",
    "SETTINGS = []": "SETTINGS = "
    + repr(
        [
            "network.encoder=resnet18",
            "dataset.crop=64",
            "optimisation.batch=4",
            "budget.steps=4",
            "budget.epoch_steps=2",
            "machines.workers=0",
        ]
    ),
}


@pytest.fixture(scope="module", params=["Segmentation", "Classification"])
def executed(request, tmp_path_factory):
    notebook = nbformat.read(FOLDER / f"{request.param}.ipynb", as_version=4)
    for value, small in SMALL.items():
        assert value in notebook.cells[1].source
        notebook.cells[1].source = notebook.cells[1].source.replace(value, small)
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(tamperscope.__file__).parents[1]))
        NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
        ).execute()
    return notebook


def test_it_ends_with_a_response_of_the_server(executed):
    answer = executed.cells[-2].outputs
    pictures = [output.data["image/png"] for output in answer if "image/png" in output.get("data", {})]
    text = "".join(output.get("text", "") for output in answer)

    if pictures:
        assert PIL.Image.open(BytesIO(b64decode(pictures[0]))).size == (96, 96)
        assert "inconclusive" in text
    else:
        assert "confidence" in text


def test_it_shows_data_curves_predictions_and_metrics(executed):
    shown = [output.get("data", {}) for cell in executed.cells for output in cell.get("outputs", [])]

    assert sum("image/png" in data for data in shown) >= 4
    assert any("| F1 |" in data.get("text/markdown", "") for data in shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_stored_outputs_are_those_of_one_clean_run(path):
    notebook = nbformat.read(path, as_version=4)

    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run: make notebooks"
    assert any({"image/png", "image/jpeg"} & output.get("data", {}).keys() for output in outputs)
    assert not any(output.output_type == "error" for output in outputs)
    texts = [output.get("text", "") for output in outputs]
    texts += [
        output.get("data", {}).get(kind, "") for output in outputs for kind in ("text/plain", "text/markdown")
    ]
    assert MACHINE.findall("".join(texts)) == []
    assert path.stat().st_size < 300_000


@pytest.mark.parametrize("name", ["Segmentation", "Classification"])
def test_it_asks_for_defacto_first(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)

    assert 'DEFACTO = ""' in notebook.cells[1].source
    assert all(value in notebook.cells[1].source for value in SMALL)
