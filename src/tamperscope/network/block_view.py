"""Compression history of an image's regions, from the 8x8 blocks of its JPEG grid.

A region that was compressed before has DCT coefficients on a lattice: multiples of that compression's
quantisation steps. A pasted region has another lattice, another grid, or neither, and different noise.
`BlockStatistics` measures this for each block with fixed formulas. `BlockView` is a small network that learns
what differs within an image.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tamperscope.network.high_pass import IMAGENET_STD, DetailEncoder

BLOCK = 8
_FREQUENCIES = 15
"""AC coefficients, in zigzag order, whose lattices are measured. Higher ones are mostly zero."""
_STEPS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 17.0, 20.0, 24.0, 30.0)
"""Quantisation steps that are tried for each coefficient."""
_BANDS = (1, 3, 6, 10, 15, 21, 28, 36, 43, 49, 54, 64)
"""Zigzag positions of the boundaries between frequency bands."""
_STRONGEST_EDGE = 32.0
"""Grey levels above which an edge is taken to belong to the scene."""
_OPINION_SCALE = 3.0
"""Divisor that brings logits to the range of the statistics."""
_DETAIL = 48
"""Number of fine-detail features."""
_COSINE = (0.999999211, -19.7389804, 64.9286574, -85.2716215, 58.7904921, -21.0711056)
"""Coefficients of cos(2 pi x) in powers of x squared: least squares at the Chebyshev nodes of 0..0.25."""


class BlockStatistics(nn.Module):
    """Fixed measurements of each 8x8 block of the luminance.

    Takes normalised (N, 3, H, W) RGB whose upper left corner lies on the JPEG grid, with H and W multiples of
    8. Returns (N, channels, H/8, W/8) with these channels:

    - for 15 low frequencies and 14 steps, cos(2 pi coefficient / step): 1 on the lattice of the step's
      multiples, 0 on average off it. Its local means are the Fourier transform of the coefficients'
      histogram, whose peaks reveal an earlier compression (Popescu and Farid 2004; Lin et al. 2009);
    - for the same frequencies, the magnitude of the coefficient, which limits what its lattice can reveal;
    - the logarithmic energy of 11 frequency bands, in which noise, focus and resampling differ (Mahdian and
      Saic 2009);
    - the edge strength at each of the grid's 8 columns and 8 rows: traces of an earlier compression with
      another grid (Li, Yuan and Yu 2009).
    """

    channels = _FREQUENCIES * (len(_STEPS) + 1) + len(_BANDS) - 1 + 2 * BLOCK

    luminance: Tensor
    basis: Tensor
    multiples: Tensor
    bands: Tensor
    corner: Tensor
    sides: Tensor

    def __init__(self) -> None:
        super().__init__()
        weights = torch.tensor([0.299, 0.587, 0.114])
        scaled = weights * torch.tensor(IMAGENET_STD) * 255
        self.register_buffer("luminance", scaled.view(1, 3, 1, 1), persistent=False)
        basis = _cosines().view(BLOCK * BLOCK, 1, BLOCK, BLOCK)
        self.register_buffer("basis", basis, persistent=False)
        multiples = basis[1 : 1 + _FREQUENCIES, None] / torch.tensor(_STEPS).view(1, -1, 1, 1, 1)
        self.register_buffer("multiples", multiples.flatten(0, 1), persistent=False)
        bands = torch.zeros(len(_BANDS) - 1, BLOCK * BLOCK)
        for row, (first, end) in enumerate(itertools.pairwise(_BANDS)):
            bands[row, first:end] = 1 / (end - first)
        self.register_buffer("bands", bands.view(*bands.shape, 1, 1), persistent=False)
        corner = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        self.register_buffer("corner", corner.view(1, 1, 2, 2), persistent=False)
        one_line = torch.eye(BLOCK)[:, None, None, :].expand(-1, 1, BLOCK, -1) / BLOCK
        sides = torch.cat([one_line, one_line.transpose(2, 3)])
        self.register_buffer("sides", sides, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the measurements, each roughly within -2..4."""
        # Half precision would round large coefficients by more than a step of their lattice.
        with torch.autocast(image.device.type, enabled=False):
            return self._measured(image)

    def _measured(self, image: Tensor) -> Tensor:
        # The luminance is off by a constant, which affects only the DC coefficient. That one is not measured.
        luminance = functional.conv2d(image, self.luminance)
        coefficients = functional.conv2d(luminance, self.basis, stride=BLOCK)
        multiple = functional.conv2d(luminance, self.multiples, stride=BLOCK)
        lattice = _cosine_of_turns(multiple - multiple.round())
        size = torch.log1p(coefficients[:, 1 : 1 + _FREQUENCIES].abs())
        energy = torch.log1p(functional.conv2d(coefficients.square(), self.bands)) / 2
        return torch.cat([lattice, size, energy, self._edges(luminance)], dim=1)

    def _edges(self, luminance: Tensor) -> Tensor:
        # The mixed difference cancels the scene and leaves the corners of blocks.
        padded = functional.pad(luminance, (0, 1, 0, 1), mode="replicate")
        mixed = functional.conv2d(padded, self.corner).abs()
        mixed = torch.log1p(mixed.clamp(max=_STRONGEST_EDGE))
        return functional.conv2d(mixed, self.sides, stride=BLOCK)


def _cosine_of_turns(turns: Tensor) -> Tensor:
    """Return cos(2 pi turns) for -0.5..0.5, accurate to 1e-6.

    A polynomial is used because the runtimes' own cosines are slow and differ from each other.
    """
    square = turns.square()
    cosine = _COSINE[-1] * square + _COSINE[-2]
    for coefficient in reversed(_COSINE[:-2]):
        cosine = cosine * square + coefficient
    return cosine


def _cosines() -> Tensor:
    """Return the orthonormal 8x8 DCT basis of ITU-T T.81, (64, 8, 8) float32, in zigzag order."""
    place = torch.arange(BLOCK, dtype=torch.float64)
    rows = torch.cos((2 * place + 1) * place[:, None] * math.pi / (2 * BLOCK)) * 0.5
    rows[0] /= math.sqrt(2)
    zigzag = sorted(
        ((v, u) for v in range(BLOCK) for u in range(BLOCK)),
        key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]),
    )
    return torch.stack([torch.outer(rows[v], rows[u]) for v, u in zigzag]).float()


class BlockView(nn.Module):
    """A small network on block statistics, fine detail, and the mask logits of another network.

    For each block it sees the statistics, their local deviation from those of the whole image, features of
    the high-pass residuals, and the other network's logits. Dilated convolutions let it look 96 pixels far.
    Every layer also sees the mean and standard deviation over the whole image.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.statistics = BlockStatistics()
        self.norm = nn.BatchNorm2d(self.statistics.channels)
        self.detail = DetailEncoder(_DETAIL)
        self.entry = nn.Sequential(
            nn.Conv2d(2 * self.statistics.channels + 2 + _DETAIL, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.layers = nn.Sequential(*[_Layer(width, dilation) for dilation in (1, 2, 4, 2, 1)])

    def forward(self, image: Tensor, opinion: Tensor) -> Tensor:
        """Return (N, width, H/8, W/8) non-negative features.

        `image` is normalised (N, 3, H, W) RGB on the JPEG grid. `opinion` holds the other network's mask
        logits, (N, 1, H/4, W/4).
        """
        found = self.statistics(image)
        mean, spread = _moments(found, 1e-2)
        unusual = functional.avg_pool2d(
            (found - mean) / spread, 5, stride=1, padding=2, count_include_pad=False
        )
        pools = functional.avg_pool2d, functional.max_pool2d
        opinions = [pool(opinion, 2) / _OPINION_SCALE for pool in pools]
        seen = torch.cat([self.norm(found), unusual, *opinions, self.detail(image)], dim=1)
        features: Tensor = self.layers(self.entry(seen))
        return features


class _Layer(nn.Module):
    """A residual layer that also sees the mean and standard deviation over the whole image."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.around_norm = nn.BatchNorm2d(width)
        self.whole = nn.Linear(2 * width, width)
        self.mix = nn.Conv2d(width, width, 1, bias=False)
        self.mix_norm = nn.BatchNorm2d(width)

    def forward(self, features: Tensor) -> Tensor:
        whole = self.whole(torch.cat(_moments(features, 1e-5), dim=1).flatten(1))
        hidden = functional.relu(self.around_norm(self.around(features)) + whole[..., None, None])
        return functional.relu(features + self.mix_norm(self.mix(hidden)))


def _moments(features: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation over the image, each (N, C, 1, 1).

    `least` is added to the variance.
    """
    mean = features.mean(dim=(2, 3), keepdim=True)
    variance = (features - mean).square().mean(dim=(2, 3), keepdim=True)
    return mean, (variance + least).sqrt()
