from __future__ import annotations

import pytest
import torch
from torch import nn

from tamperscope.bundle import Architecture
from tamperscope.errors import CheckpointError
from tamperscope.network.architectures import (
    build,
    classification_network,
    outputs_of,
    probabilities,
    segmentation_network,
)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_segmentation_network_returns_a_mask_of_the_size_of_the_image(channels: int) -> None:
    network = segmentation_network("resnet18", channels).eval()
    with torch.inference_mode():
        (mask,) = probabilities(network, ("mask",))(torch.randn(2, 3, 64, 96))
    assert mask.shape == (2, 1, 64, 96)
    assert 0 <= mask.min() < mask.max() <= 1


def test_a_classification_network_returns_four_probabilities_that_sum_to_one() -> None:
    with torch.inference_mode():
        (kinds,) = probabilities(classification_network().eval(), ("type",))(torch.randn(2, 3, 64, 64))
    assert kinds.shape == (2, 4)
    torch.testing.assert_close(kinds.sum(dim=1), torch.ones(2))


def test_the_second_of_two_mask_channels_means_manipulated() -> None:
    logits = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)
    (mask,) = probabilities(nn.Identity(), ("mask",))(logits)
    assert mask.item() == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item())


def test_the_joint_network_returns_all_three_outputs() -> None:
    architecture = Architecture("joint", "resnet18", 4)
    network = probabilities(build(architecture).eval(), outputs_of(architecture))
    with torch.inference_mode():
        mask, kinds, score = network(torch.randn(1, 3, 64, 64))
    assert mask.shape == (1, 1, 64, 64)
    assert kinds.sum().item() == pytest.approx(1)
    assert 0 <= score.item() <= 1


def test_a_misspelt_architecture_gets_a_suggestion() -> None:
    with pytest.raises(CheckpointError, match=r"did you mean 'deeplabv3plus'\?"):
        build(Architecture("deeplabv3plusplus", "resnet50", 1))
