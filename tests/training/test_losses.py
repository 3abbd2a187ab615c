import pytest
import torch

from tamperscope.training.config import Loss
from tamperscope.training.data import NO_TYPE, Example
from tamperscope.training.losses import (
    dice_loss,
    lovasz_hinge,
    mask_cross_entropy,
    near_edge,
    terms,
    type_cross_entropy,
)


@pytest.mark.parametrize("loss", [dice_loss, lovasz_hinge])
def test_overlap_losses_are_near_zero_for_a_perfect_mask_and_high_for_its_opposite(loss) -> None:
    target = (torch.arange(400).reshape(1, 1, 20, 20) % 2).float()
    assert loss((target - 0.5) * 100, target) == pytest.approx(0, abs=1e-3)
    assert loss((0.5 - target) * 100, target) > 0.99


def test_pixels_near_the_border_of_a_manipulated_region_weigh_more() -> None:
    target = torch.zeros(1, 1, 32, 32)
    target[..., :16] = 1
    assert near_edge(target)[0, 0, 0].nonzero().flatten().tolist() == [13, 14, 15, 16, 17, 18]
    wrong_at_the_edge = torch.where(target > 0, 9.0, -9.0)
    wrong_at_the_edge[..., 15] = -9
    wrong_elsewhere = wrong_at_the_edge.roll(-10, dims=3)
    wrong_elsewhere[..., 6:16], wrong_elsewhere[..., 22:] = 9, -9
    assert mask_cross_entropy(wrong_at_the_edge, target) == pytest.approx(
        mask_cross_entropy(wrong_elsewhere, target).item(), rel=1e-3
    )
    assert mask_cross_entropy(wrong_at_the_edge, target, edge=4) > 4 * mask_cross_entropy(
        wrong_elsewhere, target, edge=4
    )


def test_images_of_unknown_type_do_not_count() -> None:
    logits = torch.tensor([[5.0, 0, 0, 0], [0, 0, 0, 5.0]])
    right = type_cross_entropy(logits[:1], torch.tensor([0]))
    assert type_cross_entropy(logits, torch.tensor([0, NO_TYPE])) == pytest.approx(right.item())


def test_weights_make_a_rare_type_count_as_much_as_a_common_one() -> None:
    logits = torch.tensor([[5.0, 0, 0, 0]]).repeat(4, 1)
    types = torch.tensor([0, 0, 0, 1])
    balanced = type_cross_entropy(logits, types, torch.tensor([1 / 3, 1.0, 0, 0]))
    halves = [type_cross_entropy(logits[:1], torch.tensor([kind])).item() for kind in (0, 1)]
    assert balanced == pytest.approx(sum(halves) / 2)


def test_a_batch_without_forgeries_has_a_finite_loss_and_gradient() -> None:
    logits = {
        "mask": torch.randn(2, 1, 32, 32, requires_grad=True),
        "type": torch.randn(2, 4, requires_grad=True),
        "score": torch.randn(2, 1, requires_grad=True),
    }
    batch = Example(torch.zeros(2, 3, 32, 32), torch.zeros(2, 1, 32, 32), torch.full((2,), NO_TYPE))
    total = torch.stack(list(terms(logits, batch, Loss(lovasz=1, edge=1)).values())).sum()
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(tensor.grad).all() for tensor in logits.values())
