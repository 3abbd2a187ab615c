"""A tiny, randomly generated photo library: textures with an annotated object each."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tamperscope.synthesis import Forgery, PhotoLibrary, forge


@pytest.fixture(scope="session")
def photo_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("library")
    rng = np.random.default_rng(0)
    for collection in ("lake", "street"):
        for kind in ("photos", "masks"):
            (root / kind / collection).mkdir(parents=True)
        for number in range(10):
            coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
            pixels = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
            mask = np.zeros((120, 160), np.uint8)
            cv2.ellipse(mask, (80, 60), (30, 20), 0, 0, 360, 255, -1)
            pixels[mask > 0] = rng.integers(0, 256, (int((mask > 0).sum()), 3), np.uint8)
            cv2.imwrite(str(root / "photos" / collection / f"{number:02}.jpg"), pixels)
            cv2.imwrite(str(root / "masks" / collection / f"{number:02}__1__object.png"), mask)
    return root / "photos", root / "masks"


@pytest.fixture(scope="session")
def library(photo_folders: tuple[Path, Path]) -> PhotoLibrary:
    return PhotoLibrary.open(*photo_folders)


@pytest.fixture(scope="session")
def forgeries(library: PhotoLibrary) -> list[Forgery]:
    rng = np.random.default_rng(3)
    return [forge(library, rng, 64) for _ in range(80)]
