"""Run the notebooks on little data, and store in them what each cell shows.

python docs/notebooks.py    # what `make notebooks` calls

The run is small, so that the files stay small: its networks have learnt next to nothing. Only outputs and
execution counts change; the values of the first cell stay as a user finds them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

import nbformat
import PIL.Image
from nbclient import NotebookClient
from nbformat import NotebookNode

import tamperscope

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "deeplearningmodelrunsetup.ipynb"
TRAINING = tuple(ROOT / "trainingFiles" / name for name in ("Segmentation.ipynb", "Classification.ipynb"))
NETWORK = [
    "network.encoder=resnet18",
    "dataset.crop=96",
    "optimisation.batch=4",
    "budget.steps=60",
    "budget.epoch_steps=20",
    "machines.workers=0",
]
LARGE_PICTURE = 30_000
"""Characters of Base64."""
SMALL = {
    "FORGERIES = 5000": "FORGERIES = 120",
    "SIZE = 512": "SIZE = 128",
    "SETTINGS = []": f"SETTINGS = {NETWORK!r}",
}


def main() -> None:
    """Run every notebook, the training ones in one folder, as a user does who trains both networks."""
    os.environ["PYTHONPATH"] = str(Path(tamperscope.__file__).parents[1])
    # Such as tqdm's, which names a folder of this machine.
    os.environ["PYTHONWARNINGS"] = "ignore"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_CACHE_HOME"] = folder
        for path in (SERVER, *TRAINING):
            notebook = nbformat.read(path, as_version=4)
            sources = [cell.source for cell in notebook.cells]
            if path in TRAINING:
                make_small(notebook, SMALL)
            execute(notebook, Path(folder))
            shrink_pictures(notebook)
            for cell, source in zip(notebook.cells, sources, strict=True):
                cell.source = source
            nbformat.write(notebook, path)
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", file=sys.stderr)


def make_small(notebook: NotebookNode, values: dict[str, str]) -> None:
    """Replace values of the first code cell."""
    [cell, *_] = (each for each in notebook.cells if each.cell_type == "code")
    for value, small in values.items():
        assert value in cell.source, value
        cell.source = cell.source.replace(value, small)


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run a notebook in a folder; raises `CellExecutionError` when a cell fails."""
    client = NotebookClient(
        notebook,
        timeout=1800,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": folder}},
    )
    client.execute()
    # Written by the kernel: its own version of Python.
    notebook.metadata["language_info"] = {"name": "python"}


def shrink_pictures(notebook: NotebookNode) -> None:
    """Replace large PNG pictures by JPEG pictures: every version stays in the repository's history."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if len(data.get("image/png", "")) > LARGE_PICTURE:
                picture = PIL.Image.open(BytesIO(b64decode(data.pop("image/png")))).convert("RGB")
                file = BytesIO()
                picture.save(file, "JPEG", quality=80)
                data["image/jpeg"] = b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    main()
