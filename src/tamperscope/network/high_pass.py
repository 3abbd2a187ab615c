"""High-pass residuals of an image, and a small network that reads them at full resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tamperscope.bundle import Preprocessing

# The default model's input is normalised with these.
IMAGENET_MEAN, IMAGENET_STD = Preprocessing().mean, Preprocessing().std


class HighPass(nn.Module):
    """Three fixed high-pass residuals of the luminance (spatial rich model, Fridrich and Kodovsky 2012).

    They suppress the scene and keep noise and compression traces, which differ in a pasted region. Takes
    normalised (N, 3, H, W) RGB and returns (N, 3, H, W) residuals, truncated at 6 grey levels and scaled to
    -2..2.
    """

    channels = 3
    truncation = 6.0

    kernels: Tensor
    luminance: Tensor

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
        self.register_buffer("luminance", luminance[None, :, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the residuals of normalised (N, 3, H, W) RGB."""
        # Every kernel is a filter times the luminance. Filtering the luminance alone is a third of the work.
        luminance = functional.conv2d(image, self.luminance)
        padded = functional.pad(luminance, (2, 2, 2, 2), mode="replicate")
        scale = 2 / self.truncation
        residuals = functional.conv2d(padded, self.kernels[:, :1] / self.luminance[:, :1] * scale)
        return residuals.clamp(-2, 2)


class DetailEncoder(nn.Module):
    """A light convolutional network on the residuals, for noise, resampling and cuts rather than the scene.

    Takes normalised (N, 3, H, W) RGB with H and W multiples of 8. Returns (N, `width`, H/8, W/8) non-negative
    features.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.high_pass = HighPass()
        plan = ((16, 1), (32, 2), (32, 1), (48, 2), (48, 1), (width, 2))
        layers: list[nn.Module] = []
        channels = HighPass.channels
        for out, stride in plan:
            layers += [nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Return the features of normalised (N, 3, H, W) RGB."""
        features: Tensor = self.layers(self.high_pass(image))
        return features
