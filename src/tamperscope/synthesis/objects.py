"""Objects to cut out of a photo or to remove from it: annotated ones, and segments that look like one."""

from __future__ import annotations

import numpy as np

from tamperscope.synthesis.photos import Photo, PhotoLibrary
from tamperscope.synthesis.recipe import Mask, resize_mask
from tamperscope.synthesis.segments import LARGEST_SHARE, grow_superpixels


def choose_object(library: PhotoLibrary, photo: Photo, rng: np.random.Generator) -> tuple[Mask, str] | None:
    """Choose an object in `photo`: return its (height, width) mask and how it was found, or None.

    An annotated object is usually chosen where the photo has one, otherwise the foreground or a few
    superpixels.
    """
    pixels = library.pixels(photo)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    if photo.object_masks and rng.random() < 0.8:
        mask, found_by = library.annotated_object(photo, rng), "annotation"
    elif rng.random() < 0.5:
        mask, found_by = library.foreground(photo), "GrabCut"
    else:
        mask, found_by = grow_superpixels(pixels, rng), "SLIC"
    if mask is None or np.count_nonzero(mask) > LARGEST_SHARE * mask.size:
        return None
    if found_by != "annotation":
        mask = resize_mask(mask, width, height)
    return (mask, found_by) if mask.shape == (height, width) and np.count_nonzero(mask) >= 400 else None
