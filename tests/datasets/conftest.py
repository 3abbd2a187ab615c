"""A small artificial dataset in each layout: one forged image with its mask, and one authentic image."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from samples import photo, write

# Aligned with a JPEG's 16 x 16 units, so that a mask saved as JPEG has clean edges.
MASK = np.zeros((48, 64), bool)
MASK[16:32, 16:48] = True


def white(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(mask, 255, 0).astype(np.uint8)


def black(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return white(~mask)


def green(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a mask in Columbia's colours; the left half is bright, as near the edge between the cameras."""
    bright = np.where(np.arange(mask.shape[1]) < mask.shape[1] // 2, 255, 200)
    return np.stack([~mask * bright, mask * bright, 0 * bright * mask], axis=2).astype(np.uint8)


@dataclass(frozen=True)
class Dataset:
    layout: str
    root: Path
    forged: Path
    mask: Path
    authentic: Path | None
    encode: Callable[[NDArray[np.bool_]], NDArray[np.uint8]]
    truth: NDArray[np.bool_]

    def draw(self, mask: NDArray[np.bool_]) -> None:
        """Replace the mask."""
        write(self.mask, self.encode(mask))


# For each layout: forged image, its mask, authentic image, encoding, and images that must not be read.
_FILES: dict[str, tuple[str, str, str | None, Callable[..., NDArray[np.uint8]], tuple[str, ...]]] = {
    "folder": ("images/a.jpg", "masks/a.png", "authentic/b.jpg", white, ("source_masks/a.png",)),
    "defacto": (
        "splicing_2_img/img/0_000000000042.tif",
        "splicing_2_annotations/probe_mask/0_000000000042.jpg",
        None,
        white,
        ("splicing_2_annotations/donor_mask/0_000000000042.tif",),
    ),
    "casia1": (
        "Tp/Sp/Sp_D_CND_A_pla0005_pla0023_0281.jpg",
        "CASIA 1.0 groundtruth/Sp/Sp_D_CND_A_pla0005_pla0023_0281_gt.png",
        "Au/Au_pla_0005.jpg",
        white,
        (),
    ),
    "casia2": (
        "CASIA 2.0/Tp/Tp_D_CRN_S_N_cha10130_art00092_12188.tif",
        "CASIA 2 Groundtruth/Tp_D_CRN_S_N_cha10130_art00092_12188_gt.png",
        "CASIA 2.0/Au/Au_art_00092.bmp",
        white,
        (),
    ),
    "columbia": (
        "4cam_splc/canong3_canonxt_sub_16.tif",
        "4cam_splc/edgemask/canong3_canonxt_sub_16_edgemask.jpg",
        "4cam_auth/canonxt_29_sub_07.tif",
        green,
        ("4cam_splc/edgemask/canong3_canonxt_sub_16_edgemask_3.jpg",),
    ),
    "coverage": (
        "image/12t.tif",
        "mask/12forged.tif",
        "image/12.tif",
        white,
        ("mask/12copy.tif", "mask/12paste.tif"),
    ),
    "nist16": (
        "NC2016_Test0613/probe/NC2016_0128.jpg",
        "NC2016_Test0613/reference/manipulation/mask/NC2016_3942.png",
        "NC2016_Test0613/probe/NC2016_0136.jpg",
        black,
        ("NC2016_Test0613/world/NC2016_3272.jpg", "NC2016_Test0613/reference/splice/mask/NC2016_3942.png"),
    ),
    "imd2020": (
        "1b8r7b/c94os8l_0.png",
        "1b8r7b/c94os8l_0_mask.png",
        "1b8r7b/1b8r7b_orig.jpg",
        white,
        (),
    ),
    "comofod": ("012_F.png", "012_B.png", "012_O.png", white, ("012_M.png",)),
    "dso1": (
        "DSO-1/splicing-07.png",
        "DSO-1-Fake-Images-Masks/splicing-07.png",
        "DSO-1/normal-07.png",
        black,
        ("__MACOSX/DSO-1/._normal-07.png",),
    ),
}

NIST_COLUMNS = (
    "TaskID|ProbeFileID|ProbeFileName|ProbeMaskFileName|DonorFileName|IsTarget|"
    "IsManipulationTypeRemoval|IsManipulationTypeSplice|IsManipulationTypeCopyClone|BaseFileName"
)
_NIST_ROWS = (
    "manipulation|NC2016_0128|probe/NC2016_0128.jpg|reference/manipulation/mask/NC2016_3942.png||Y|N|Y|N|"
    "world/NC2016_3272.jpg",
    "manipulation|NC2016_0136|probe/NC2016_0136.jpg|||N|N|N|N|",
)


def write_nist_reference(root: Path, *rows: str) -> None:
    path = root / "NC2016_Test0613/reference/manipulation/NC2016-manipulation-ref.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((NIST_COLUMNS, *rows)) + "\n")


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[[str], Dataset]:
    """Return a function that writes the small dataset of a layout."""

    def make(layout: str) -> Dataset:
        forged, mask, authentic, encode, others = _FILES[layout]
        for number, name in enumerate((forged, authentic, *others)):
            if name:
                write(tmp_path / name, photo(seed=number))
        if layout == "nist16":
            write_nist_reference(tmp_path, *_NIST_ROWS)
        if layout == "defacto":
            graph = tmp_path / "splicing_2_annotations/graph/0_000000000042.json"
            graph.parent.mkdir()
            graph.write_text(json.dumps({"nodes": [{"file": "COCO_train2014_000000000123.jpg"}]}))
        dataset = Dataset(
            layout,
            tmp_path,
            tmp_path / forged,
            tmp_path / mask,
            authentic and tmp_path / authentic,
            encode,
            MASK,
        )
        dataset.draw(MASK)
        return dataset

    return make
