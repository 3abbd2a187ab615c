"""`--device`, as each command that runs the networks takes it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from samples import write_dataset
from tamperscope.cli import main


@pytest.mark.parametrize(
    "command",
    [
        ["analyze", "SAMPLE"],
        ["scan", "SAMPLE", "--out", "r.jsonl"],
        ["serve", "--port", "0"],
        ["evaluate", "--data", "FOLDER", "--out", "r"],
    ],
    ids=lambda command: command[0],
)
def test_an_absent_or_unknown_device_ends_a_command_before_it_writes(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAMPERSCOPE_DATABASE", "sqlite:///analyses.db")
    data = write_dataset(tmp_path / "bench", forged=1, authentic=1)
    sample = next((data / "images").iterdir())
    words = [{"SAMPLE": str(sample), "FOLDER": str(data)}.get(word, word) for word in command]

    absent = CliRunner().invoke(main, [*words, "--device", "npu"])
    unknown = CliRunner().invoke(main, [*words, "--device", "quantum"])

    assert (absent.exit_code, unknown.exit_code) == (2, 2)
    assert "The device npu cannot be used" in absent.stderr
    assert "Usable here: " in absent.stderr
    assert "must be one of auto, cpu, gpu, npu" in unknown.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"bench", "analyses.db", "analyses.db-reserve"}


def test_the_machines_of_a_cluster_compute_on_their_cpus(tmp_path):
    words = [
        "scan",
        str(tmp_path),
        "--out",
        str(tmp_path / "r.jsonl"),
        "--cluster",
        "auto",
        "--device",
        "gpu",
    ]

    result = CliRunner().invoke(main, words)

    assert result.exit_code == 2
    assert "compute on their CPUs" in result.stderr
