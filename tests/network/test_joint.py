import pytest
import torch

from tamperscope.network.high_pass import HighPass
from tamperscope.network.joint import JointNetwork


@pytest.fixture(scope="module")
def network() -> JointNetwork:
    torch.manual_seed(0)
    return JointNetwork().eval()


@torch.inference_mode()
def test_every_head_accepts_sides_of_any_multiple_of_16(network: JointNetwork) -> None:
    for height, width in ((32, 32), (48, 96)):
        logits = network(torch.randn(2, 3, height, width))
        assert logits.mask.shape == (2, 1, height, width)
        assert logits.type.shape == (2, 4)
        assert logits.score.shape == (2, 1)


def test_high_pass_sees_detail_but_not_colour() -> None:
    high_pass = HighPass()
    assert high_pass(torch.full((1, 3, 16, 16), 0.7)).abs().max() < 1e-4
    dot = torch.zeros(1, 3, 16, 16)
    dot[..., 8, 8] = 0.02
    assert high_pass(dot).abs().amax(dim=(2, 3)).min() > 0.01


def test_high_pass_is_its_kernels_on_rgb() -> None:
    high_pass = HighPass()
    image = 0.05 * torch.randn(1, 3, 16, 16)
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2), mode="replicate")
    residuals = torch.nn.functional.conv2d(padded, high_pass.kernels)
    torch.testing.assert_close(high_pass(image), residuals.clamp(-6, 6) / 3, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_the_mask_is_enlarged_bilinearly(network: JointNetwork) -> None:
    small = torch.randn(2, 1, 5, 7)
    expected = torch.nn.functional.interpolate(small, scale_factor=4, mode="bilinear")
    torch.testing.assert_close(network.enlarge(small), expected)


def test_the_heads_do_not_shape_the_mask(network: JointNetwork) -> None:
    network.zero_grad()
    logits = network(torch.randn(1, 3, 32, 32))
    (logits.type.sum() + logits.score.sum()).backward()
    for head in (network.trunk.segmentation.segmentation_head[0].weight, network.mask_head.weight):
        assert head.grad is None or not head.grad.any()
