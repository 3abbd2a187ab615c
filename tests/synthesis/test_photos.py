from pathlib import Path

import numpy as np
import pytest

from samples import encode, photo
from tamperscope.errors import PhotosError
from tamperscope.synthesis import PhotoLibrary


def test_no_photo_is_in_both_the_training_and_the_held_out_part(photo_folders: tuple[Path, Path]) -> None:
    training = PhotoLibrary.open(*photo_folders)
    held_out = PhotoLibrary.open(*photo_folders, held_out=True)
    assert len(training.photos) == 18
    assert len(held_out.photos) == 2
    assert not {photo.path for photo in training.photos} & {photo.path for photo in held_out.photos}


def test_a_plain_folder_and_nested_folders_are_read(tmp_path: Path) -> None:
    for name in ("a.jpg", "2024/may/b.jpg", "2024/c.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(photo(96, 80)))
    library = PhotoLibrary.open(tmp_path)
    assert {entry.name: entry.collection for entry in library.photos} == {
        "a.jpg": ".",
        "2024/may/b.jpg": "2024/may",
        "2024/c.jpg": "2024",
    }


def test_photos_that_cannot_be_used_are_named_and_skipped(tmp_path: Path) -> None:
    good = encode(photo(96, 80))
    (tmp_path / "good.jpg").write_bytes(good)
    (tmp_path / "tiny.jpg").write_bytes(encode(photo(40, 30)))
    (tmp_path / "text.jpg").write_bytes(b"not an image")
    (tmp_path / "cut.jpg").write_bytes(good[: len(good) // 2])
    library = PhotoLibrary.open(tmp_path)
    assert set(library.skipped) == {"tiny.jpg", "text.jpg"}
    damaged = next(entry for entry in library.photos if entry.name == "cut.jpg")
    assert library.pixels(damaged) is None
    assert set(library.skipped) == {"tiny.jpg", "text.jpg", "cut.jpg"}


def test_a_donor_is_another_photo_and_usually_of_the_same_collection(library: PhotoLibrary) -> None:
    rng = np.random.default_rng(5)
    host = library.photos[0]
    donors = [library.donor(host, rng) for _ in range(200)]
    assert host not in donors
    assert np.mean([donor is not None and donor.collection == host.collection for donor in donors]) > 0.6


def test_the_tables_of_the_photos_are_collected(tmp_path: Path) -> None:
    for name, quality in (("a", 60), ("b", 60), ("c", 90)):
        (tmp_path / f"{name}.jpg").write_bytes(encode(photo(96, 80), quality=quality))
    assert len(PhotoLibrary.open(tmp_path).quantisation_tables) == 2


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="There is no photo in"):
        PhotoLibrary.open(tmp_path)
