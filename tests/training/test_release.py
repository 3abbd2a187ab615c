from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tamperscope.bundle import Architecture
from tamperscope.errors import CheckpointError
from tamperscope.feedback import CorrectedAnalysis, Correction, Truth
from tamperscope.images.kind import FileKind
from tamperscope.network.architectures import build
from tamperscope.network.checkpoints import save_checkpoint
from tamperscope.report import ManipulationType
from tamperscope.training.release import KEPT_F1, Cut, Seen, choose_cut, rate_cuts, release, usable

KIND = FileKind(1024, "PNG", 1.0)


def test_only_a_joint_network_can_be_released(tmp_path: Path) -> None:
    architecture = Architecture("resnet", "resnet18", 4)
    save_checkpoint(build(architecture), architecture, tmp_path / "best.pth")
    with pytest.raises(CheckpointError, match=r"not a joint network; import a pair with import-checkpoint"):
        release(tmp_path / "best.pth", None, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_chosen_cut_has_the_lowest_threshold_with_nearly_the_best_f1() -> None:
    best, low, strict, poor = Cut(0.6, 0.01), Cut(0.4, 0.0075), Cut(0.4, 0.01), Cut(0.2, 0.01)
    least = KEPT_F1 * 0.5
    assert choose_cut({best: 0.5, low: least, strict: least, poor: least - 0.01}) == strict


def test_cuts_are_rated_by_f1_on_forged_examples() -> None:
    truth = np.zeros((32, 32), bool)
    truth[8:24, 8:24] = True
    heatmap = np.where(truth, 0.62, 0.32).astype(np.float16)
    authentic = np.ones((32, 32), np.float16)
    seen = [Seen(each, None, None, {}, KIND) for each in (heatmap, authentic)]
    rated = rate_cuts(seen, [truth, np.zeros_like(truth)])
    assert rated[Cut(0.5, 0.0075)] == 1
    assert rated[Cut(0.3, 0.0075)] == pytest.approx(2 * 256 / (256 + 1024))
    assert rated[Cut(0.7, 0.0075)] == 0


def test_an_example_whose_score_does_not_support_marks_has_none() -> None:
    seen = Seen(np.ones((32, 32), np.float16), np.ones((32, 32), bool), None, {}, KIND, marks=False)
    assert not seen.mask(Cut(0.5, 0.01)).any()


def test_a_verified_copy_is_marked_regardless_of_its_size() -> None:
    copies = np.zeros((32, 32), bool)
    copies[:4, :4] = True
    seen = Seen(np.where(copies, 0.9, 0).astype(np.float16), copies, ManipulationType.COPYMOVE, {}, KIND)
    assert (seen.mask(Cut(0.5, 0.1)) == copies).all()


def test_corrections_of_other_networks_and_of_drawings_are_left_out() -> None:
    ours = CorrectedAnalysis(Correction(Truth.AUTHENTIC), {"clones": 1.0}, 1024, "PNG", "ours", False, "a")
    others = [
        replace(ours, networks="theirs"),
        replace(ours, drawn=True),
        replace(ours, measurements={}),
    ]
    assert usable([ours, *others], "ours", {"clones": 0.0}) == [ours]
