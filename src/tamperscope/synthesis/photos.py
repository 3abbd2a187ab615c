"""The authentic photos that forgeries are made from, and what is known about each."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import TypeVar

import cv2
import numpy as np
import PIL.Image

from tamperscope.errors import ImageError, PhotosError
from tamperscope.images import IMAGE_SUFFIXES, read_image
from tamperscope.synthesis.faces import Face, find_face
from tamperscope.synthesis.laundering import QuantisationTables
from tamperscope.synthesis.recipe import Mask, Pixels
from tamperscope.synthesis.segments import find_foreground

_Item = TypeVar("_Item")

# Shorter side in pixels. Nothing can be cut out of a smaller photo.
_SMALLEST_SIDE = 64
# A host is enlarged by this factor at most.
_LARGEST_ENLARGEMENT = 1.3
# Photos that are searched for a face, evenly spread. If none shows one, no face forgeries are made.
_FACE_SAMPLE = 200
# Photos that are drawn to find one with a face, or with another property that a donor must have.
_TRIES = 400


@dataclass(frozen=True)
class Photo:
    """One authentic photo. Photos of one `collection` share their source, and often their history."""

    path: Path
    name: str
    """Path relative to the root of the library."""
    collection: str
    short_side: int
    """The smaller of width and height, in pixels."""
    object_masks: tuple[Path, ...] = ()
    """One file per annotated object, white inside it."""


@dataclass(frozen=True, eq=False)
class PhotoLibrary:
    """The photos below a folder, or the training or held-out part of them.

    Each folder is a collection.
    """

    photos: tuple[Photo, ...]
    quantisation_tables: tuple[QuantisationTables, ...]
    """The distinct tables of the JPEG files among the photos, written by real cameras and real software."""
    skipped: dict[str, str]
    """For each photo that cannot be used, by name, the reason.

    A damaged photo is noticed only when it is drawn.
    """
    _decoded: _DecodedPhotos
    _collections: dict[str, tuple[Photo, ...]]
    _hosts: dict[int, tuple[tuple[Photo, ...], ...]] = field(default_factory=dict)
    _shows_faces: dict[int, bool] = field(default_factory=dict)
    _faces: dict[Photo, Face | None] = field(default_factory=dict)
    _foregrounds: dict[Photo, Mask | None] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        root: Path,
        object_masks: Path | None = None,
        *,
        held_out: bool | None = False,
        memory: int = 2**30,
    ) -> PhotoLibrary:
        """Open a folder of photos, or of folders of photos at any depth. Each folder is a collection.

        The last tenth of each collection, sorted by name, is held out. Photos with neighbouring names are
        often near-duplicates, and a contiguous cut keeps most of them on the same side.

        Args:
            root: The folder.
            object_masks: A folder with the same subfolders. They hold `<photo>.png` or `<photo>__*.png`,
                white inside an object.
            held_out: False takes the photos that are not held out, True the held-out ones, None all of them.
            memory: How many bytes of decoded photos are kept.

        Returns:
            The library. Photos that cannot be used are in its `skipped`.

        Raises:
            PhotosError: There is no photo.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     PIL.Image.new("RGB", (160, 120)).save(f"{folder}/lake.png")
            ...     library = PhotoLibrary.open(Path(folder))
            >>> library.photos[0].name, library.photos[0].short_side
            ('lake.png', 120)
        """
        files: dict[Path, list[Path]] = defaultdict(list)
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                files[path.parent].append(path)
        photos: list[Photo] = []
        tables: dict[QuantisationTables, None] = {}
        skipped: dict[str, str] = {}
        for folder, members in files.items():
            collection = folder.relative_to(root)
            cut = len(members) - len(members) // 10
            masks = _masks_by_photo(object_masks / collection if object_masks else None)
            for path in {None: members, True: members[cut:], False: members[:cut]}[held_out]:
                name = path.relative_to(root).as_posix()
                try:
                    with PIL.Image.open(path) as picture:
                        short_side = min(picture.size)
                        quantisation = getattr(picture, "quantization", {})
                except (OSError, ValueError, PIL.Image.DecompressionBombError):
                    skipped[name] = "it is not a readable image"
                    continue
                if short_side < _SMALLEST_SIDE:
                    skipped[name] = f"it is smaller than {_SMALLEST_SIDE} pixels"
                    continue
                photos.append(Photo(path, name, collection.as_posix(), short_side, tuple(masks[path.stem])))
                if 1 <= len(quantisation) <= 2:
                    tables[QuantisationTables(tuple(tuple(table) for table in quantisation.values()))] = None
        if not photos:
            if held_out:
                raise PhotosError(
                    f"There is no held-out photo in {root}: a folder needs at least ten photos for one."
                )
            raise PhotosError(f"There is no photo in {root}.")
        collections = {
            name: tuple(members) for name, members in groupby(photos, lambda photo: photo.collection)
        }
        return cls(tuple(photos), tuple(tables), skipped, _DecodedPhotos(memory), collections)

    def pixels(self, photo: Photo) -> Pixels | None:
        """Return the photo as (height, width, 3) uint8 RGB, read-only.

        Return None when it cannot be decoded, and add it to `skipped`.
        """
        try:
            return self._decoded[photo.path]
        except (ImageError, OSError) as error:
            self.skipped[photo.name] = str(error)
            return None

    def host(self, rng: np.random.Generator, size: int) -> Photo:
        """Choose a photo to forge at `size` x `size` pixels.

        A collection is weighted by the square root of its number of photos that are large enough.

        Raises PhotosError when every photo is too small.
        """
        collections = self._hosts_by_collection(size)
        weights = np.sqrt([len(members) for members in collections])
        return _choose(collections[rng.choice(len(collections), p=weights / weights.sum())], rng)

    def shows_faces(self, size: int) -> bool:
        """Return whether any of an evenly spread sample of the hosts for `size` shows a face."""
        if size not in self._shows_faces:
            hosts = [photo for members in self._hosts_by_collection(size) for photo in members]
            sample = hosts[:: -(-len(hosts) // _FACE_SAMPLE)]
            self._shows_faces[size] = any(self.face(photo) is not None for photo in sample)
        return self._shows_faces[size]

    def face_host(self, rng: np.random.Generator, size: int) -> Photo | None:
        """Choose a photo with a face to forge at `size`; return None when none is found."""
        for _ in range(_TRIES):
            photo = self.host(rng, size)
            if self.face(photo) is not None:
                return photo
        return None

    def donor(
        self, host: Photo, rng: np.random.Generator, *, with_objects: bool = False, with_face: bool = False
    ) -> Photo | None:
        """Choose another photo to take something from; return None when no suitable one is found.

        Most donors come from the host's own collection. Otherwise a network would learn to tell collections
        apart instead of finding forgeries.
        """
        siblings = self._collections[host.collection]
        if len(self.photos) == 1 or (with_objects and not self._is_annotated):
            return None
        for _ in range(_TRIES):
            photo = _choose(siblings if rng.random() < 0.6 else self.photos, rng)
            if photo == host or (with_objects and not photo.object_masks):
                continue
            if not with_face or self.face(photo) is not None:
                return photo
        return None

    @cached_property
    def _is_annotated(self) -> bool:
        return any(photo.object_masks for photo in self.photos)

    def face(self, photo: Photo) -> Face | None:
        """Return the photo's largest face, or None. The search runs once per photo."""
        if photo not in self._faces:
            pixels = self.pixels(photo)
            self._faces[photo] = None if pixels is None else find_face(pixels)
        return self._faces[photo]

    def foreground(self, photo: Photo) -> Mask | None:
        """Return a mask of what stands out from the photo's background, at a reduced size, or None.

        The search runs once per photo.
        """
        if photo not in self._foregrounds:
            pixels = self.pixels(photo)
            self._foregrounds[photo] = None if pixels is None else find_foreground(pixels)
        return self._foregrounds[photo]

    def survey(self) -> None:
        """Find all faces and foregrounds now, on all cores, so that processes forked later share them."""
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda photo: (self.face(photo), self.foreground(photo)), self.photos):
                pass

    def annotated_object(self, photo: Photo, rng: np.random.Generator) -> Mask | None:
        """Return the (height, width) bool mask of one of the photo's annotated objects, or None."""
        if not photo.object_masks:
            return None
        path = _choose(photo.object_masks, rng)
        mask = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            self.skipped[path.name] = "the object mask is not a readable image"
            return None
        return np.asarray(mask > 127)

    def _hosts_by_collection(self, size: int) -> tuple[tuple[Photo, ...], ...]:
        if size not in self._hosts:
            smallest = size / _LARGEST_ENLARGEMENT
            large_enough = [
                tuple(photo for photo in members if photo.short_side >= smallest)
                for members in self._collections.values()
            ]
            if not any(large_enough):
                largest = max(photo.short_side for photo in self.photos)
                raise PhotosError(
                    f"No photo is large enough for forgeries of {size} pixels; "
                    f"the largest allows {int(largest * _LARGEST_ENLARGEMENT)}."
                )
            self._hosts[size] = tuple(filter(None, large_enough))
        return self._hosts[size]


class _DecodedPhotos:
    """A cache of decoded photos that keeps the most recently used, up to a number of bytes."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._kept: OrderedDict[Path, Pixels] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __getitem__(self, path: Path) -> Pixels:
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
        pixels = read_image(path).pixels
        with self._lock:
            if path not in self._kept:
                self._kept[path] = pixels
                self._bytes += pixels.nbytes
            while self._bytes > self._budget:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return pixels


def _masks_by_photo(folder: Path | None) -> dict[str, list[Path]]:
    masks: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.png")) if folder else ():
        masks[path.stem.split("__")[0]].append(path)
    return masks


def _choose(items: Sequence[_Item], rng: np.random.Generator) -> _Item:
    return items[int(rng.integers(len(items)))]
