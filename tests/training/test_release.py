from pathlib import Path

import numpy as np
import pytest

from tamperscope.bundle import Architecture
from tamperscope.errors import CheckpointError
from tamperscope.images.kind import FileKind
from tamperscope.network.architectures import build
from tamperscope.network.checkpoints import save_checkpoint
from tamperscope.report import ManipulationType
from tamperscope.training.release import KEPT_F1, Cut, Rating, Seen, choose_cut, rate_cuts, release

KIND = FileKind(1024, "PNG", 1.0)


def test_only_a_joint_network_can_be_released(tmp_path: Path) -> None:
    architecture = Architecture("resnet", "resnet18", 4)
    save_checkpoint(build(architecture), architecture, tmp_path / "best.pth")
    with pytest.raises(CheckpointError, match=r"not a joint network; import a pair with import-checkpoint"):
        release(tmp_path / "best.pth", None, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_chosen_cut_marks_few_authentic_photos_at_a_small_loss_of_f1() -> None:
    best, cheap, dear = Cut(0.2, 0.005), Cut(0.4, 0.01), Cut(0.6, 0.01)
    rated = {best: Rating(0.5, 0.6), cheap: Rating(KEPT_F1 * 0.5, 0.3), dear: Rating(KEPT_F1 * 0.49, 0.1)}
    assert choose_cut(rated) == cheap


def test_cuts_are_rated_by_f1_on_forged_and_by_marks_on_authentic_examples() -> None:
    truth = np.zeros((32, 32), bool)
    truth[8:24, 8:24] = True
    heatmap = np.where(truth, 0.62, 0.32).astype(np.float16)
    small = np.zeros((32, 32), np.float16)
    small[:6, :6] = 0.62
    seen = [Seen(each, None, None, {}, KIND) for each in (heatmap, small)]
    rated = rate_cuts(seen, [truth, np.zeros_like(truth)])
    assert rated[Cut(0.5, 0.0075)] == (1, 1)
    assert rated[Cut(0.5, 0.01)] == (1, 0)
    assert rated[Cut(0.3, 0.0075)].f1 == pytest.approx(2 * 256 / (256 + 1024))
    assert rated[Cut(0.7, 0.0075)] == (0, 0)


def test_a_verified_copy_is_marked_regardless_of_its_size() -> None:
    copies = np.zeros((32, 32), bool)
    copies[:4, :4] = True
    seen = Seen(np.where(copies, 0.9, 0).astype(np.float16), copies, ManipulationType.COPYMOVE, {}, KIND)
    assert (seen.mask(Cut(0.5, 0.1)) == copies).all()
