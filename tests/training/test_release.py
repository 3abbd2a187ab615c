from pathlib import Path

import numpy as np
import pytest

from tamperscope.bundle import Architecture
from tamperscope.errors import CheckpointError
from tamperscope.network.architectures import build
from tamperscope.network.checkpoints import save_checkpoint
from tamperscope.report import ManipulationType
from tamperscope.synthesis import Forgery
from tamperscope.training.release import KEPT_F1, choose_threshold, rate_thresholds, release


def test_only_a_joint_network_can_be_released(tmp_path: Path) -> None:
    architecture = Architecture("resnet", "resnet18", 4)
    save_checkpoint(build(architecture), architecture, tmp_path / "best.pth")
    with pytest.raises(
        CheckpointError, match=r"not a joint network; a pair is imported by import-checkpoint"
    ):
        release(tmp_path / "best.pth", None, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_highest_threshold_that_costs_little_is_chosen() -> None:
    assert choose_threshold({0.2: 0.48, 0.3: 0.5, 0.4: KEPT_F1 * 0.5, 0.5: KEPT_F1 * 0.5 - 0.01}) == 0.4


def test_thresholds_are_rated_on_forged_examples_alone() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    truth = np.zeros((32, 32), bool)
    truth[8:24, 8:24] = True
    forged = Forgery(pixels, truth, ManipulationType.SPLICING, ())
    authentic = Forgery(pixels, np.zeros_like(truth), None, ())
    heatmap = np.where(truth, 0.62, 0.32).astype(np.float32)
    rated = rate_thresholds([heatmap, heatmap], [forged, authentic])
    assert rated[0.6] == 1
    assert rated[0.3] == pytest.approx(2 * 256 / (256 + 1024))
    assert rated[0.7] == 0
