"""Exemplar-based filling with PatchMatch (Barnes et al. 2009; Wexler et al. 2007)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tamperscope.synthesis.recipe import Mask, Pixels

_PATCH = 7
_HALF = _PATCH // 2
_OFFSETS = [(y, x) for y in range(-_HALF, _HALF + 1) for x in range(-_HALF, _HALF + 1)]
# Rounds of matching and voting per level of the pyramid, the finest level first.
_ROUNDS = (1, 2, 4, 6)
# At the coarsest level a hole is no wider than a patch or two, so that its rim determines what fits.
_COARSEST_RADIUS = 4.0
# Longest random jump of each try in a search, as a share of the image.
_JUMPS = (1.0, 0.3, 0.1, 0.03)

_Points = NDArray[np.intp]


def fill(pixels: Pixels, hole: Mask, rng: np.random.Generator) -> Pixels | None:
    """Return the image with a hole filled by patches of the rest, from coarse to fine.

    `hole` is (height, width), True where to fill. At each level, every patch that touches the hole searches
    for its nearest neighbour among those that do not, by propagation and random search. Each pixel of the
    hole then becomes the weighted mean of what the patches over it propose.

    Return None when the rest of the image is too small to hold a patch.
    """
    radius = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max()
    levels = 1
    while (
        levels < len(_ROUNDS)
        and radius > _COARSEST_RADIUS * 2 ** (levels - 1)
        and min(hole.shape) >> levels > 24
    ):
        levels += 1
    pyramid = [_Level.of(pixels, hole)]
    for _ in range(levels - 1):
        pyramid.append(pyramid[-1].halved())
    if any(len(level.sources) == 0 for level in pyramid):
        return None
    nearest: _Points | None = None
    picture = pyramid[-1].telea()
    for depth in reversed(range(levels)):
        level = pyramid[depth]
        if nearest is None:
            nearest = level.sources[rng.integers(len(level.sources), size=len(level.targets))]
        else:
            nearest = level.refined(pyramid[depth + 1], nearest, rng)
            picture = level.voted(nearest, np.ones(len(nearest), np.float32))
        for _ in range(_ROUNDS[depth]):
            nearest, errors = level.searched(picture, nearest, rng)
            picture = level.voted(nearest, errors)
    inside = pyramid[0].unpadded(picture)
    return np.asarray(np.rint(np.clip(inside, 0, 255)), np.uint8)


@dataclass(frozen=True, eq=False)
class _Level:
    """One level of the pyramid, padded by half a patch so that every pixel is the centre of one."""

    pixels: NDArray[np.float32]
    """(height, width, 3) float32: RGB, 0 to 255."""
    hole: Mask
    """(height, width) bool: True where to fill."""
    targets: _Points
    """(n, 2) intp: rows and columns of the centres of patches that touch the hole."""
    sources: _Points
    """(m, 2) intp: rows and columns of the centres of patches that do not."""
    is_source: Mask
    """(height, width) bool: True at the centres in `sources`."""
    target_at: NDArray[np.intp]
    """(height, width) intp: index of the target at a pixel, or -1."""

    @classmethod
    def of(cls, pixels: Pixels, hole: Mask) -> _Level:
        """Return the level of an image and its hole, neither of them padded."""
        padded = cv2.copyMakeBorder(pixels, *(_HALF,) * 4, cv2.BORDER_REFLECT_101).astype(np.float32)
        padded_hole = cv2.copyMakeBorder(hole.astype(np.uint8), *(_HALF,) * 4, cv2.BORDER_REFLECT_101)
        touches = cv2.dilate(padded_hole, np.ones((_PATCH, _PATCH), np.uint8)) > 0
        within = np.zeros(touches.shape, bool)
        within[_HALF:-_HALF, _HALF:-_HALF] = True
        targets, is_source = np.argwhere(touches & within), ~touches & within
        target_at = np.full(touches.shape, -1, np.intp)
        target_at[tuple(targets.T)] = np.arange(len(targets))
        return cls(padded, padded_hole > 0, targets, np.argwhere(is_source), is_source, target_at)

    def unpadded(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return an image of this level without its padding."""
        return picture[_HALF:-_HALF, _HALF:-_HALF]

    def halved(self) -> _Level:
        """Return the next coarser level, at half the resolution."""
        pixels, hole = self.unpadded(self.pixels), self.hole[_HALF:-_HALF, _HALF:-_HALF]
        known = (~hole).astype(np.float32)
        size = (hole.shape[1] // 2, hole.shape[0] // 2)
        # Only known pixels count. Otherwise the removed object would bleed into the result.
        weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(pixels * known[..., None], size, interpolation=cv2.INTER_AREA)
        mean = mean / np.maximum(weight, 1e-3)[..., None]
        return _Level.of(np.asarray(np.clip(mean, 0, 255), np.uint8), np.asarray(weight < 0.5))

    def telea(self) -> NDArray[np.float32]:
        """Return the padded image with the hole filled by Telea (2004), as a first guess."""
        filled = cv2.inpaint(self.pixels.astype(np.uint8), self.hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        return np.asarray(filled, np.float32)

    def refined(self, coarse: _Level, nearest: _Points, rng: np.random.Generator) -> _Points:
        """Return the coarse level's neighbours at this level's resolution: (n, 2) rows and columns."""
        limit = np.array(coarse.hole.shape) - 1 - _HALF
        parents = np.clip((self.targets - _HALF) // 2 + _HALF, _HALF, limit)
        which = coarse.target_at[tuple(parents.T)]
        moved = self.targets + 2 * (nearest[which] - coarse.targets[which])
        moved = np.clip(moved, 0, np.array(self.hole.shape) - 1)
        fits = (which >= 0) & self.is_source[tuple(moved.T)]
        anywhere = self.sources[rng.integers(len(self.sources), size=len(moved))]
        return np.where(fits[:, None], moved, anywhere)

    def searched(
        self, picture: NDArray[np.float32], nearest: _Points, rng: np.random.Generator
    ) -> tuple[_Points, NDArray[np.float32]]:
        """Improve the neighbours once; return them, (n, 2), with their mean squared errors, (n,) float32."""
        patches = sliding_window_view(picture, (_PATCH, _PATCH), axis=(0, 1))
        wanted = patches[tuple((self.targets - _HALF).T)].reshape(len(self.targets), -1)
        original = sliding_window_view(self.pixels, (_PATCH, _PATCH), axis=(0, 1))

        def error_of(which: NDArray[np.intp], candidates: _Points) -> NDArray[np.float32]:
            offered = original[tuple((candidates - _HALF).T)].reshape(len(candidates), -1)
            difference = offered - wanted[which]
            return np.asarray(np.einsum("ij,ij->i", difference, difference) / wanted.shape[1])

        nearest = nearest.copy()
        errors = error_of(np.arange(len(nearest)), nearest)
        limit = np.array(self.hole.shape) - 1

        def try_candidates(candidates: _Points, offered: Mask) -> None:
            candidates = np.clip(candidates, 0, limit)
            which = np.flatnonzero(offered & self.is_source[tuple(candidates.T)])
            found = error_of(which, candidates[which])
            better = found < errors[which]
            nearest[which[better]] = candidates[which[better]]
            errors[which[better]] = found[better]

        for step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            neighbour = self.target_at[tuple((self.targets - step).T)]
            try_candidates(nearest[neighbour] + step, neighbour >= 0)
        everywhere = np.ones(len(nearest), bool)
        for jump in _JUMPS:
            reach = jump * max(self.hole.shape)
            try_candidates(
                nearest + np.rint(rng.uniform(-reach, reach, nearest.shape)).astype(np.intp), everywhere
            )
        return nearest, errors

    def voted(self, nearest: _Points, errors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the image with each pixel of the hole set to the weighted mean of its patches' proposals."""
        pixels = np.argwhere(self.hole[_HALF:-_HALF, _HALF:-_HALF]) + _HALF
        spread = 2 * np.quantile(errors, 0.75) + 1e-6
        trust = np.exp(-errors / spread)
        total = np.zeros((len(pixels), 3), np.float32)
        weights = np.zeros((len(pixels), 1), np.float32)
        for offset in _OFFSETS:
            which = self.target_at[tuple((pixels - offset).T)]
            weight = np.where(which >= 0, trust[which], 0)[:, None].astype(np.float32)
            total += weight * self.pixels[tuple((nearest[which] + offset).T)]
            weights += weight
        picture = self.pixels.copy()
        picture[tuple(pixels.T)] = total / np.maximum(weights, 1e-6)
        return picture
