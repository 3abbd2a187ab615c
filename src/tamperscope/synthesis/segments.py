"""Segments of a photo that look like an object: its foreground, or superpixels of similar colour."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.segmentation import slic

from tamperscope.synthesis.recipe import Mask, Pixels

LARGEST_SHARE = 0.5
"""Share of the photo. A larger segment is not an object."""

# Longer side in pixels of the copy in which segments are found. Their outlines are as loose as those of a
# quick selection by hand.
_SEGMENTED_SIDE = 128


def find_foreground(pixels: Pixels) -> Mask | None:
    """Return a mask of what differs from the rim of the photo (GrabCut, Rother et al. 2004).

    The mask has a reduced size: its longer side has 128 pixels. Return None when the foreground covers less
    than 2 % or more than half of the photo, or is not compact.
    """
    small = _reduced(pixels)
    height, width = small.shape[:2]
    labels = np.zeros((height, width), np.uint8)
    box = (width // 12, height // 12, width - width // 6, height - height // 6)
    # GrabCut starts from clusters that OpenCV's own random generator chooses.
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(small, labels, box, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # an image of one colour has no clusters
        return None
    mask = _largest_part((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
    whole = 0.02 <= mask.mean() <= LARGEST_SHARE and _solidity(mask) > 0.6
    return mask if whole else None


def grow_superpixels(pixels: Pixels, rng: np.random.Generator) -> Mask | None:
    """Return a mask of neighbouring superpixels of similar colour (SLIC, Achanta et al. 2012).

    The mask has a reduced size: its longer side has 128 pixels. Return None when a region cannot grow to the
    size that was drawn for it.
    """
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
    """Return the share of a mask's convex hull that the mask fills."""
    points = np.argwhere(mask)[:, ::-1].astype(np.int32)
    return float(mask.sum() / max(cv2.contourArea(cv2.convexHull(points)), 1))
