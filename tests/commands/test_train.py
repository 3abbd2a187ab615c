from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner, Result

from tamperscope.cli import main


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["train", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("joint",), "Give either --config to start a new run, or --resume"),
        (("joint", "--config", "synthetic-joint", "--resume"), "Give either --config"),
        (("joint", "--resume", "--init", "."), "continues from its own weights"),
        (("everything", "--config", "synthetic-joint"), "'everything' is not one of"),
        (("joint", "--config", "synthetic-joint", "synthetic.sise=64"), "did you mean size?"),
        (("joint", "--resume", "--out", "nowhere"), "nowhere contains no training run."),
        (
            (
                "joint",
                "--config",
                "synthetic-joint",
                "--out",
                "a",
                "synthetic.photos=b",
                "network.encoder=resnet18",
            ),
            "There is no folder b; set synthetic.photos=FOLDER.",
        ),
    ],
)
def test_a_usage_error_is_one_sentence(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert not (tmp_path / "a" / "config.yaml").exists()


def test_without_lightning_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    for name in [name for name in sys.modules if name.startswith("tamperscope.training")]:
        monkeypatch.delitem(sys.modules, name)

    result = run("joint", "--config", "synthetic-joint")

    assert result.exit_code == 2
    assert (
        result.stderr == "Training needs lightning, not installed here: pip install 'tamperscope[train]'.\n"
    )
