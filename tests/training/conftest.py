"""A tiny forged dataset, and a config that trains on it in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tamperscope.training.config import Config, read_config

CONFIG = """\
dataset:
  path: {path}
  crop: 32
network:
  encoder: mobilenet_v2
optimisation:
  batch: 2
  started_rate: 1.0e-3
  fresh_rate: 1.0e-3
  warm_up: 0.2
  ema_decay: 0.5
budget:
  steps: 6
  epoch_steps: 3
  checkpoint_steps: 2
  validation_images: 4
machines:
  accelerator: cpu
  workers: 0
"""


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of 48 x 48 noise. Three in four have a flat square, which is the manipulated region."""
    root = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    for name in ("images", "masks", "authentic"):
        (root / name).mkdir()
    for number in range(40):
        pixels = rng.integers(0, 256, (48, 48, 3), np.uint8)
        if number % 4 == 0:
            cv2.imwrite(str(root / "authentic" / f"{number:02}.png"), pixels)
            continue
        mask = np.zeros((48, 48), np.uint8)
        top, left = rng.integers(0, 30, 2)
        mask[top : top + 18, left : left + 18] = 255
        pixels[mask > 0] = rng.integers(0, 256, 3)
        cv2.imwrite(str(root / "images" / f"{number:02}.png"), pixels)
        cv2.imwrite(str(root / "masks" / f"{number:02}.png"), mask)
    return root


@pytest.fixture(scope="session")
def config_file(dataset: Path) -> Path:
    path = dataset / "config.yaml"
    path.write_text(CONFIG.format(path=dataset))
    return path


@pytest.fixture
def config(config_file: Path) -> Config:
    return read_config(config_file)
