"""The network of the default bundle: one ResNet-50 trunk that answers where, how and whether."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tamperscope.network._torchvision import smp

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class JointLogits(NamedTuple):
    """What the joint network computes, before sigmoid and softmax."""

    mask: Tensor
    """(N, 1, H, W): was this pixel manipulated?"""
    type: Tensor
    """(N, 4): how, if at all?"""
    score: Tensor
    """(N, 1): was anything manipulated?"""


class JointNetwork(nn.Module):
    """DeepLabV3+ that also sees high-pass residuals, with two more heads on the encoder's last features.

    Takes (N, 3, H, W) RGB, normalised with the ImageNet mean and standard deviation; H and W are multiples
    of 16. The type and the score are read from the features averaged over the image and averaged over the
    area that the mask marks, so a small manipulation is not drowned by the rest.
    """

    def __init__(self, encoder: str = "resnet50") -> None:
        super().__init__()
        self.high_pass = HighPass()
        self.segmentation = smp.DeepLabV3Plus(
            encoder, encoder_weights=None, in_channels=3 + self.high_pass.channels, classes=1
        )
        features = self.segmentation.encoder.out_channels[-1]
        self.type_head = nn.Linear(2 * features, 4)
        self.score_head = nn.Linear(2 * features + 1, 1)

    def forward(self, image: Tensor) -> JointLogits:
        """Return the logits of all three heads for normalised (N, 3, H, W) RGB."""
        features = self.segmentation.encoder(torch.cat([image, self.high_pass(image)], dim=1))
        mask = self.segmentation.segmentation_head(self.segmentation.decoder(features))
        last = features[-1]
        # The heads read the mask, they do not shape it: the mask has its own, denser teacher.
        coarse = functional.avg_pool2d(mask.detach(), 16)
        weight = torch.sigmoid(coarse) + 1e-4
        everywhere = last.mean(dim=(2, 3))
        marked = (last * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
        pooled = torch.cat([everywhere, marked], dim=1)
        peak = coarse.amax(dim=(2, 3))
        return JointLogits(mask, self.type_head(pooled), self.score_head(torch.cat([pooled, peak], dim=1)))


class HighPass(nn.Module):
    """Three fixed high-pass residuals of the luminance (spatial rich model, Fridrich and Kodovsky 2012).

    They take the scene away and leave noise and compression traces, which differ where something was pasted.
    Takes normalised (N, 3, H, W) RGB, gives (N, 3, H, W) residuals, truncated at 6 grey levels and scaled
    to -2..2.
    """

    channels = 3
    truncation = 6.0

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        second_order = torch.zeros(5, 5)
        second_order[2, 1:4] = torch.tensor([1.0, -2.0, 1.0]) / 2
        square3 = torch.zeros(5, 5)
        square3[1:4, 1:4] = torch.tensor([[-1.0, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
        square5 = (
            torch.tensor(
                [
                    [-1.0, 2, -2, 2, -1],
                    [2, -6, 8, -6, 2],
                    [-2, 8, -12, 8, -2],
                    [2, -6, 8, -6, 2],
                    [-1, 2, -2, 2, -1],
                ]
            )
            / 12
        )
        luminance = torch.tensor([0.299, 0.587, 0.114]) * torch.tensor(IMAGENET_STD) * 255
        filters = torch.stack([second_order, square3, square5])
        self.register_buffer("kernels", filters[:, None] * luminance[None, :, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Return the residuals of normalised (N, 3, H, W) RGB."""
        padded = functional.pad(image, (2, 2, 2, 2), mode="replicate")
        residuals = functional.conv2d(padded, self.kernels)
        return residuals.clamp(-self.truncation, self.truncation) * (2 / self.truncation)
