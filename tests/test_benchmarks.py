"""The benchmarks still fit the code: each starts and says what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("program", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_starts(program: Path) -> None:
    answer = subprocess.run([sys.executable, program, "--help"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "Usage:" in answer.stdout or "usage:" in answer.stdout
