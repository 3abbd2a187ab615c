"""Every command used wrongly, as the guide lists it: exit code, what is said, and that nothing is written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import samples
from tamperscope.bundle import Bundle
from tamperscope.cli import main

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
ROWS = re.findall(r"^\| `tamperscope (.+)` \| (\d+) \| (.+) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)


@pytest.fixture(autouse=True)
def folder(joint_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a photo, a text and an empty folder."""
    samples.write(tmp_path / "photo.jpg", samples.photo())
    (tmp_path / "text.txt").write_text("not an image")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAMPERSCOPE_MODEL", str(joint_bundle.path))
    return tmp_path


@pytest.mark.parametrize(("arguments", "code", "said"), ROWS, ids=[row[0] for row in ROWS])
def test_wrong_use_ends_as_the_guide_says(arguments: str, code: str, said: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))

    result = CliRunner().invoke(main, shlex.split(arguments))

    assert result.exit_code == int(code), result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(folder.rglob("*")) == before


def test_the_guide_lists_wrong_use_of_every_command() -> None:
    listed = [f"{arguments} " for arguments, _, _ in ROWS]
    left_out = [name for name in commands(main) if not any(each.startswith(f"{name} ") for each in listed)]

    assert left_out == []


def commands(group: click.Group, path: str = "") -> Iterator[str]:
    """Yield the names of all commands, those of groups with the group's name before them."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}"
