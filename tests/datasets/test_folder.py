from pathlib import Path

import cv2
import numpy as np
import pytest

from tamperscope.datasets import read_folder


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "one/images/a.jpg", np.zeros((8, 12, 3), np.uint8))
    write(tmp_path / "one/masks/a.png", np.eye(8, 12, dtype=np.uint8) * 255)
    write(tmp_path / "two/authentic/b.jpg", np.zeros((8, 12, 3), np.uint8))
    return tmp_path


def test_sets_are_read_with_their_masks(root: Path) -> None:
    forged, authentic = read_folder(root)
    assert (forged.set, forged.forged) == ("one", True)
    assert (authentic.set, authentic.forged) == ("two", False)
    assert np.array_equal(forged.ground_truth(8, 12), np.eye(8, 12, dtype=bool))
    assert not authentic.ground_truth(8, 12).any()


def test_a_missing_mask_is_named(root: Path) -> None:
    write(root / "one/images/lonely.jpg", np.zeros((8, 12, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"1 of 2 images in one have no mask, lonely\.jpg"):
        read_folder(root)


def test_a_mask_of_another_size_is_named(root: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.png is 12x8, its image is 10x8"):
        read_folder(root)[0].ground_truth(8, 10)


def test_a_folder_without_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="authentic"):
        read_folder(tmp_path)
