from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import PIL.Image
import pytest
from click.testing import CliRunner, Result

import tamperscope.datasets
import tamperscope.detector
from fakes import IDENTITY, FakeDetector
from samples import write_dataset
from tamperscope.cli import main
from tamperscope.datasets import Reading, read_dataset
from tamperscope.report import ManipulationType


@pytest.fixture(scope="module", autouse=True)
def fake_detector() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        fake = SimpleNamespace(load=lambda *args, **kwargs: FakeDetector())
        patch.setattr(tamperscope.detector, "Detector", fake)
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "bench", forged=3, authentic=2)


def evaluate(data: Path, *arguments: object) -> Result:
    out = data.parent / "results"
    words = ["evaluate", "--data", data, "--out", out, *arguments]
    result = CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "150"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


class Run(NamedTuple):
    result: Result
    out: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = write_dataset(tmp_path_factory.mktemp("run") / "bench", forged=3, authentic=2)
    return Run(evaluate(data, "--robustness", "--robustness-images", 2), data.parent / "results")


def test_the_document_holds_metrics_and_how_they_were_measured(run: Run) -> None:
    document = json.loads((run.out / "results.json").read_text(encoding="utf-8"))
    assert run.result.exit_code == 0
    assert document["bundle"]["sha256"] == IDENTITY.sha256
    assert document["device"] == "cpu"
    assert (
        document["command"]
        == "tamperscope evaluate --data bench --out results --robustness --robustness-images 2"
    )
    (only,) = document["sets"]
    assert (only["set"], only["forged"], only["authentic"]) == ("bench", 3, 2)
    # The fake finds every forgery, and marks twice the manipulated area.
    assert only["figures"]["f1"]["value"] == pytest.approx(2 / 3)
    assert only["figures"]["auc"] == {"value": 1, "low": 1, "high": 1}
    assert set(document["conventions"]) >= set(only["figures"])
    assert document["robustness"][0]["corruption"] == "none"


def test_tables_are_printed(run: Run) -> None:
    rows = [line.split() for line in run.result.stdout.splitlines()]
    assert ["F1", "0.667", "[0.667,", "0.667]"] in rows
    assert ["blur", "σ", "2", "1", "1", "0.667", "+0%", "1.000", "+0%"] in rows
    # Compression adds some red to authentic images, and the fake detects red.
    assert ["JPEG", "50", "1", "1", "0.667", "+0%", "0.500", "-50%"] in rows


def test_markdown_explains_each_metric(run: Run) -> None:
    rows = (run.out / "results.md").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in rows if row.startswith("| false alarms ")]
    assert "verdict `manipulated`" in row


def test_each_image_has_a_row(run: Run) -> None:
    with (run.out / "images.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["forged"] for row in rows] == ["True"] * 3 + ["False"] * 2
    assert [row["f1"] for row in rows[3:]] == ["", ""]
    assert Path(rows[0]["image"]).is_file()


@pytest.mark.parametrize(
    "name", ["pr.png", "roc.png", "reliability.png", "robustness.png", "best-and-worst.jpg"]
)
def test_pictures_show_something(run: Run, name: str) -> None:
    assert PIL.Image.open(run.out / name).convert("L").getextrema() == (
        (0, 255) if name.endswith("png") else pytest.approx((0, 255), abs=10)
    )


def test_an_unusable_image_is_named_and_the_rest_measured(data: Path) -> None:
    (data / "images" / "1.png").write_text("This is no picture.")

    result = evaluate(data, "--json")

    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["sets"][0]["forged"] == 2
    assert [Path(problem["path"]).name for problem in document["problems"]] == ["1.png"]
    assert str(data / "images" / "1.png") in result.stderr


def test_when_nothing_can_be_measured_there_are_no_results(data: Path) -> None:
    for image in [*(data / "images").iterdir(), *(data / "authentic").iterdir()]:
        image.write_text("This is no picture.")

    result = evaluate(data)

    assert result.exit_code == 3
    assert "No image" in result.stderr
    assert not (data.parent / "results" / "results.json").exists()


def test_types_are_tabulated_when_the_dataset_names_them(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = read_dataset(data).samples
    types = [ManipulationType.COPYMOVE, ManipulationType.COPYMOVE, ManipulationType.SPLICING, None, None]
    typed = tuple(replace(sample, type=kind) for sample, kind in zip(samples, types, strict=True))
    monkeypatch.setattr(tamperscope.datasets, "read_dataset", lambda root, layout: Reading(typed))

    rows = [line.split() for line in evaluate(data).stdout.splitlines()]

    # The fake types every image as copy-move.
    assert ["copymove", "0", "2", "0", "0", "1.000"] in rows
    assert ["splicing", "0", "1", "0", "0", "0.000"] in rows
    assert ["face", "0", "0", "0", "0", "–"] in rows
    document = json.loads((data.parent / "results" / "results.json").read_text(encoding="utf-8"))
    assert document["sets"][0]["types"]["confusion"]["splicing"]["copymove"] == 1
    assert document["sets"][0]["types"]["recall"] == {
        "splicing": 0, "copymove": 1, "inpainting": None, "face": None,
    }  # fmt: skip


def test_a_full_run_reuses_the_measurements_of_a_limited_one(data: Path) -> None:
    limited, whole = evaluate(data, "--limit", 2, "--json"), evaluate(data, "--json")

    for result, images in ((limited, 2), (whole, 5)):
        (only,) = json.loads(result.stdout)["sets"]
        assert only["forged"] + only["authentic"] == images
    assert "earlier run" not in limited.stderr
    assert "earlier run" in whole.stderr


def test_without_matplotlib_the_metrics_are_still_written(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tamperscope.evaluation.plots", raising=False)
    for module in ("matplotlib", "matplotlib.axes", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)

    result = evaluate(data)

    assert result.exit_code == 0
    assert "pip install 'tamperscope[train]'" in result.stderr
    assert (data.parent / "results" / "results.json").exists()
    assert not (data.parent / "results" / "pr.png").exists()


@pytest.mark.parametrize(
    ("arguments", "hint"), [(("--layout", "nosuch"), "folder"), (("--data", "."), "images/ with masks/")]
)
def test_a_usage_error_says_what_to_change(data: Path, arguments, hint, monkeypatch) -> None:
    monkeypatch.chdir(data / "authentic")

    result = evaluate(data, *arguments)

    assert result.exit_code == 2
    assert hint in result.stderr
