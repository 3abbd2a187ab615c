from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner, Result

from samples import photo, write
from tamperscope.cli import main


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("one/images/a.jpg", "one/authentic/b.jpg")):
        write(tmp_path / name, photo(64 + 16 * number, 48))
    write(tmp_path / "one/masks/a.png", np.eye(48, 64, dtype=np.uint8) * 255)
    (tmp_path / "one/forgeries.jsonl").write_text(
        '{"file": "images/a.jpg", "type": "copymove", "sources": []}'
    )
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["dataset", *map(str, arguments)])


def test_the_table_counts_each_set_by_the_types_that_occur(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    result = run(folder)

    assert (result.exit_code, result.stderr) == (0, "")
    header, row = (line.split() for line in result.stdout.splitlines())
    assert dict(zip(header, row, strict=False)) == {
        "Set": "one",
        "Authentic": "1",
        "Copymove": "1",
        "Sizes": "64x48",
    }
    assert row[-2:] == ["to", "80x48"]


def test_problems_are_named_on_stderr_and_the_exit_code_is_3(folder):
    inverted = write(folder / "one/masks/a.png", np.full((48, 64), 255, np.uint8))
    write(folder / "one/images/lonely.jpg", photo())

    result = run(folder)

    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        f"{folder / 'one/images/lonely.jpg'}: There is no lonely.png in masks.",
        f"{inverted}: This mask marks 100% of its image; is it inverted?",
    ]


def test_json_holds_the_sets_and_the_problems(folder):
    write(folder / "one/images/lonely.jpg", photo())

    result = run(folder, "--json")

    assert (result.exit_code, result.stderr) == (3, "")
    assert json.loads(result.stdout) == {
        "sets": [
            {
                "name": "one",
                "authentic": 1,
                "forged": {"copymove": 1},
                "smallest": [64, 48],
                "largest": [80, 48],
            }
        ],
        "problems": [
            {
                "file": str(folder / "one/images/lonely.jpg"),
                "reason": "There is no lonely.png in masks.",
            }
        ],
    }


def test_quick_decodes_nothing(folder):
    path = folder / "one/images/a.jpg"
    path.write_bytes(path.read_bytes()[:-400])

    assert run(folder).exit_code == 3
    assert run(folder, "--quick").exit_code == 0


def test_an_unknown_layout_is_a_usage_error_in_one_sentence(folder):
    result = run(folder, "--layout", "colombia")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Unknown layout colombia; did you mean columbia?\n"
