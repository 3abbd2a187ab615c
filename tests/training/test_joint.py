import pytest
import torch

from tamperscope.network.joint import JointNetwork
from tamperscope.training.data import NO_TYPE, Example
from tamperscope.training.joint import JointRecipe, JointTraining, dice_loss


def test_dice_is_zero_for_a_perfect_mask_and_near_one_for_its_opposite() -> None:
    target = (torch.arange(400).reshape(1, 1, 20, 20) % 2).float()
    assert dice_loss((target - 0.5) * 100, target) == pytest.approx(0, abs=1e-3)
    assert dice_loss((0.5 - target) * 100, target) > 0.99


def test_a_batch_without_forgeries_has_a_finite_loss_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    training = JointTraining(JointNetwork(), JointRecipe(minutes=1))
    monkeypatch.setattr(training, "log_dict", lambda *_, **__: None)
    batch = Example(torch.randn(2, 3, 32, 32), torch.zeros(2, 1, 32, 32), torch.full((2,), NO_TYPE))
    loss = training.training_step(batch, 0)
    loss.backward()
    assert torch.isfinite(loss)


def test_fresh_layers_learn_faster_than_the_trunk_and_none_is_left_out() -> None:
    training = JointTraining(JointNetwork(), JointRecipe(minutes=1))
    trunk, fresh = training.configure_optimizers().param_groups
    assert trunk["peak"] < fresh["peak"]
    assert len(trunk["params"]) + len(fresh["params"]) == len(list(training.network.parameters()))
