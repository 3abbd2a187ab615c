"""Segments of a photo that look like an object: its foreground, or superpixels of like colour."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.segmentation import slic

from tamperscope.synthesis.recipe import Mask, Pixels

LARGEST_SHARE = 0.5
"""Of the photo: what is larger is no object."""

# Segments are found in a copy of this longer side: their outlines are as loose as a quick hand's.
_SEGMENTED_SIDE = 128


def find_foreground(pixels: Pixels) -> Mask | None:
    """Return what differs from the rim of the picture (GrabCut, Rother et al. 2004), at a reduced size.

    None when that is hardly anything, nearly everything, or in pieces.
    """
    small = _reduced(pixels)
    height, width = small.shape[:2]
    labels = np.zeros((height, width), np.uint8)
    box = (width // 12, height // 12, width - width // 6, height - height // 6)
    # GrabCut starts from clusters that OpenCV's own generator chooses.
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(small, labels, box, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # a picture of one colour has no clusters
        return None
    mask = _largest_part((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
    whole = 0.02 <= mask.mean() <= LARGEST_SHARE and _solidity(mask) > 0.6
    return mask if whole else None


def grow_superpixels(pixels: Pixels, rng: np.random.Generator) -> Mask | None:
    """Return neighbouring superpixels of like colour (SLIC, Achanta et al. 2012), at a reduced size."""
    small = _reduced(pixels)
    labels = slic(small, n_segments=60, compactness=12, max_num_iter=4, start_label=0)
    count = int(labels.max()) + 1
    sizes = np.bincount(labels.ravel(), minlength=count)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    colours = (
        np.stack([np.bincount(labels.ravel(), lab[:, channel], count) for channel in range(3)], 1)
        / np.maximum(sizes, 1)[:, None]
    )
    touching = np.zeros((count, count), bool)
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touching[one.ravel(), other.ravel()] = touching[other.ravel(), one.ravel()] = True
    chosen = np.zeros(count, bool)
    chosen[rng.integers(count)] = True
    wanted = rng.uniform(0.01, 0.1) * labels.size
    while sizes[chosen].sum() < wanted:
        candidates = np.flatnonzero(touching[chosen].any(0) & ~chosen)
        if len(candidates) == 0:
            return None
        distance = np.abs(colours[candidates] - colours[chosen].mean(0)).sum(1)
        chosen[candidates[np.argmin(distance)]] = True
    return _largest_part(chosen[labels])


def _reduced(pixels: Pixels) -> Pixels:
    scale = _SEGMENTED_SIDE / max(pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _largest_part(mask: Mask) -> Mask:
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    part = labels == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return np.asarray(cv2.morphologyEx(part.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0)


def _solidity(mask: Mask) -> float:
    """Return the share of its convex hull that a mask fills."""
    points = np.argwhere(mask)[:, ::-1].astype(np.int32)
    return float(mask.sum() / max(cv2.contourArea(cv2.convexHull(points)), 1))
