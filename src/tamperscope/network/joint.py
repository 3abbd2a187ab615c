"""The network of the default model: a ResNet-50 trunk and a JPEG block view predict mask, type and score."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tamperscope.network._torchvision import smp
from tamperscope.network.block_view import BlockView
from tamperscope.network.high_pass import HighPass


class JointLogits(NamedTuple):
    """Outputs of the joint network, before sigmoid and softmax."""

    mask: Tensor
    """(N, 1, H, W): whether the pixel was manipulated."""
    type: Tensor
    """(N, 4): the manipulation type, if the image was manipulated."""
    score: Tensor
    """(N, 1): whether the image was manipulated."""


class JointNetwork(nn.Module):
    """DeepLabV3+ that also sees high-pass residuals, corrected by a view of the JPEG blocks.

    Takes (N, 3, H, W) RGB, normalised with the ImageNet mean and standard deviation, whose upper left corner
    lies on the JPEG grid. H and W are multiples of 16. Type and score are computed from features averaged
    over the image and features averaged over the pixels that the mask marks. The second average keeps a small
    manipulation from being drowned out by the rest of the image.
    """

    def __init__(self, encoder: str = "resnet50") -> None:
        super().__init__()
        self.trunk = Trunk(encoder)
        width = 64
        self.blocks = BlockView(width)
        self.mask_head = nn.Conv2d(width, 1, 1)
        self.trunk_share = nn.Parameter(torch.tensor(0.3))
        self.enlarge = _Enlarge(4)
        self.type_head = nn.Linear(2 * width + 4, 4)
        self.score_head = nn.Linear(2 * width + 2, 1)

    def forward(self, image: Tensor) -> JointLogits:
        """Return the logits of all three heads for normalised (N, 3, H, W) RGB."""
        return self.corrected(image, self.trunk(image))

    def corrected(self, image: Tensor, trunk: JointLogits) -> JointLogits:
        """Return the logits of all three heads, given those of the trunk for the same image."""
        opinion = functional.avg_pool2d(trunk.mask, 4)
        # Detached: the trunk learns from its direct contributions to the outputs, not through the block view.
        features = self.blocks(image, opinion.detach())
        correction = functional.interpolate(self.mask_head(features), scale_factor=2, mode="bilinear")
        mask = correction + self.trunk_share * opinion
        # Detached: the heads must not shape the mask, which has a denser loss of its own.
        read = mask.detach()
        pooled = _pooled(features, functional.avg_pool2d(torch.sigmoid(read), 2) + 1e-3)
        peak = read.amax(dim=(2, 3))
        return JointLogits(
            self.enlarge(mask),
            self.type_head(torch.cat([pooled, trunk.type.log_softmax(dim=1)], dim=1)),
            self.score_head(torch.cat([pooled, peak, trunk.score], dim=1)),
        )


class Trunk(nn.Module):
    """DeepLabV3+ on RGB and high-pass residuals, with type and score heads on the encoder's last features."""

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.high_pass = HighPass()
        self.segmentation = smp.DeepLabV3Plus(
            encoder, encoder_weights=None, in_channels=3 + self.high_pass.channels, classes=1
        )
        features = self.segmentation.encoder.out_channels[-1]
        self.type_head = nn.Linear(2 * features, 4)
        self.score_head = nn.Linear(2 * features + 1, 1)

    def forward(self, image: Tensor) -> JointLogits:
        """Return the logits of the trunk's three heads for normalised (N, 3, H, W) RGB."""
        features = self.segmentation.encoder(torch.cat([image, self.high_pass(image)], dim=1))
        mask = self.segmentation.segmentation_head(self.segmentation.decoder(features))
        coarse = functional.avg_pool2d(mask.detach(), 16)
        pooled = _pooled(features[-1], torch.sigmoid(coarse) + 1e-4)
        peak = coarse.amax(dim=(2, 3))
        return JointLogits(mask, self.type_head(pooled), self.score_head(torch.cat([pooled, peak], dim=1)))


class _Enlarge(nn.Module):
    """Bilinear upsampling of one channel, written as a convolution because OpenVINO computes that faster."""

    kernels: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        place = (torch.arange(factor) + 0.5) / factor - 0.5
        weights = (1 - (place[:, None] - torch.tensor([-1.0, 0.0, 1.0])).abs()).clamp(min=0)
        kernels = torch.einsum("ia,jb->ijab", weights, weights).reshape(factor**2, 1, 3, 3)
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, map: Tensor) -> Tensor:
        around = functional.pad(map, (1, 1, 1, 1), mode="replicate")
        return functional.pixel_shuffle(functional.conv2d(around, self.kernels), self.factor)


def _pooled(features: Tensor, weight: Tensor) -> Tensor:
    """Return (N, 2C): the features' mean over the image, and their mean weighted by `weight` (N, 1, H, W)."""
    marked = (features * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
    return torch.cat([features.mean(dim=(2, 3)), marked], dim=1)
