"""The benchmarks still fit the code: each can be imported, so every name that it uses from the package
exists.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("program", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_can_be_imported(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(program.parent))
    assert runpy.run_path(str(program), run_name="benchmark")["__doc__"]
