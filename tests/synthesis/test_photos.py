from pathlib import Path

import numpy as np
import pytest

from tamperscope.synthesis import PhotoLibrary


def test_no_photo_is_both_trained_on_and_held_out(photo_folders: tuple[Path, Path]) -> None:
    training = PhotoLibrary.open(*photo_folders)
    held_out = PhotoLibrary.open(*photo_folders, held_out=True)
    assert len(training.photos) == 18
    assert len(held_out.photos) == 2
    assert not {photo.path for photo in training.photos} & {photo.path for photo in held_out.photos}


def test_a_donor_is_another_photo_and_mostly_of_the_same_collection(library: PhotoLibrary) -> None:
    rng = np.random.default_rng(5)
    host = library.photos[0]
    donors = [library.donor(host, rng, with_object=False) for _ in range(200)]
    assert host not in donors
    assert np.mean([donor.collection == host.collection for donor in donors]) > 0.6


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no photos"):
        PhotoLibrary.open(tmp_path)
