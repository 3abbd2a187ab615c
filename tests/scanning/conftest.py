from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from examiners import POISON


@pytest.fixture
def photos(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Twelve different images, two copies of one, a damaged image, and a file that ends its process."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        pixels = rng.integers(0, 256, (40, 48, 3), np.uint8)
        pixels[..., 0] *= number % 3 > 0
        PIL.Image.fromarray(pixels).save(folder / f"{number:02}.png")
    for copy in ("copy", "another"):
        shutil.copy(folder / "00.png", folder / f"{copy}.png")
    (folder / "broken.png").write_bytes((folder / "01.png").read_bytes()[:200])
    (folder / "poison.jpg").write_bytes(POISON)
    return folder
