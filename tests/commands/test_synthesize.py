import json
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner, Result

from tamperscope.cli import main


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        coarse = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.resize(coarse, (160, 120)))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["synthesize", *map(str, arguments)])


def test_a_folder_of_photos_becomes_a_set_with_a_preview(photos: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "set", tmp_path / "sheet.png"
    common = (photos, "--out", out, "-n", 5, "--size", 64, "--workers", 1)
    result = run(*common, "--preview", sheet, "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["made"] == 5
    assert sum(summary["images"].values()) == 5
    with PIL.Image.open(sheet) as picture:
        assert picture.width > 1000
    assert "holds 5 images, 0 of them new" in run(*common).stdout


def test_only_the_requested_images_are_made(photos: Path, tmp_path: Path) -> None:
    options = ("--types", "splicing,copymove", "--authentic-share", 0, "--format", "png", "--workers", 1)
    result = run(photos, "--out", tmp_path / "set", "-n", 6, "--size", 64, "--json", *options)
    assert set(json.loads(result.stdout)["images"]) <= {"splicing", "copymove"}
    assert {path.suffix for path in (tmp_path / "set/images").iterdir()} == {".png"}


def test_a_usage_error_is_one_sentence(photos: Path, tmp_path: Path) -> None:
    unknown = run(photos, "--out", tmp_path / "a", "--types", "splicing,magic")
    assert unknown.exit_code == 2
    assert (
        "'splicing,magic' has an unknown type; the types are splicing, copymove, inpainting, face"
        in unknown.stderr
    )
    (tmp_path / "empty").mkdir()
    empty = run(tmp_path / "empty", "--out", tmp_path / "b", "--workers", 2)
    assert empty.exit_code == 2
    assert "There is no photo in" in empty.stderr
    assert not (tmp_path / "b").exists()
    too_large = run(photos, "--out", tmp_path / "c", "--size", 512, "--workers", 1)
    assert too_large.exit_code == 2
    assert "the largest allows 156" in too_large.stderr
