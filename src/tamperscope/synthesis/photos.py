"""The authentic photos that forgeries are made from, and the objects that can be cut out of them."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope.images import read_image
from tamperscope.synthesis.faces import find_face

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}


@dataclass(frozen=True)
class Photo:
    """One authentic photo; photos of one `collection` share their source, and often their history."""

    path: Path
    collection: str
    object_masks: tuple[Path, ...] = ()

    def pixels(self) -> NDArray[np.uint8]:
        """Return the photo as (height, width, 3) RGB."""
        return read_image(self.path).pixels

    def object_mask(self, rng: np.random.Generator) -> NDArray[np.bool_] | None:
        """Return the (height, width) mask of one of its annotated objects, or None when there is none.

        Raises ValueError when the mask is not an image.
        """
        if not self.object_masks:
            return None
        path = self.object_masks[rng.integers(len(self.object_masks))]
        mask = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise ValueError(f"the object mask {path.name} is not an image")
        return np.asarray(mask > 127)


@dataclass(frozen=True)
class PhotoLibrary:
    """Photos in folders, one folder per collection, split by photo into a training and a held-out part."""

    photos: tuple[Photo, ...]
    by_collection: dict[str, tuple[Photo, ...]] = field(repr=False)
    with_objects: tuple[Photo, ...] = field(repr=False)

    @classmethod
    def open(cls, root: Path, object_masks: Path | None = None, *, held_out: bool = False) -> PhotoLibrary:
        """Open a folder of collections.

        The last tenth of each collection by name is held out: neighbours in name are often near-duplicates,
        and a contiguous cut keeps them on one side. `object_masks` holds `<collection>/<photo>*.png`,
        white inside an object.

        Raises FileNotFoundError when there is no photo.
        """
        photos: list[Photo] = []
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
            cut = len(files) - len(files) // 10
            masks = _masks_by_photo(object_masks / folder.name if object_masks else None)
            photos += [
                Photo(path, folder.name, tuple(masks[path.stem]))
                for path in (files[cut:] if held_out else files[:cut])
            ]
        if not photos:
            raise FileNotFoundError(f"there are no photos in the folders of {root}")
        by_collection: dict[str, list[Photo]] = defaultdict(list)
        for photo in photos:
            by_collection[photo.collection].append(photo)
        return cls(
            tuple(photos),
            {name: tuple(members) for name, members in by_collection.items()},
            tuple(photo for photo in photos if photo.object_masks),
        )

    def host(self, rng: np.random.Generator) -> Photo:
        """Choose a photo to be forged; collections weigh by the square root of their size."""
        names = list(self.by_collection)
        weights = np.sqrt([len(self.by_collection[name]) for name in names])
        name = names[rng.choice(len(names), p=weights / weights.sum())]
        return _choose(self.by_collection[name], rng)

    @cached_property
    def with_faces(self) -> tuple[Photo, ...]:
        """The photos in which a frontal face is found; looks at every photo on first use."""
        with ThreadPoolExecutor() as pool:
            found = pool.map(lambda photo: find_face(photo.pixels()) is not None, self.photos)
            return tuple(photo for photo, has_face in zip(self.photos, found, strict=True) if has_face)

    def face_photo(self, rng: np.random.Generator) -> Photo:
        """Choose a photo that shows a face; there must be one."""
        return _choose(self.with_faces, rng)

    def donor(self, host: Photo, rng: np.random.Generator, *, with_object: bool) -> Photo:
        """Choose another photo to take something from.

        A donor comes from the host's own collection more often than not: otherwise a network learns to
        tell collections apart instead of finding forgeries.
        """
        pool = self.with_objects if with_object else self.photos
        siblings = tuple(photo for photo in pool if photo.collection == host.collection)
        if len(siblings) > 1 and rng.random() < 0.6:
            pool = siblings
        photo = _choose(pool, rng)
        while photo == host and len(pool) > 1:
            photo = _choose(pool, rng)
        return photo


def _masks_by_photo(folder: Path | None) -> dict[str, list[Path]]:
    masks: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.png")) if folder else ():
        masks[path.stem.split("__")[0]].append(path)
    return masks


def _choose(photos: tuple[Photo, ...], rng: np.random.Generator) -> Photo:
    return photos[rng.integers(len(photos))]
