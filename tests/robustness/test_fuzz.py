"""A short run of `make fuzz`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has no build for this platform")


def test_the_decoder_raises_only_its_own_errors_for_any_bytes():
    target = Path(__file__).with_name("fuzz_images.py")

    done = subprocess.run(
        [sys.executable, target, "-runs=300", "-seed=1"], capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 300" in done.stderr
