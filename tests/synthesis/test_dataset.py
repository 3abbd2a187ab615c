import dataclasses
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tamperscope.datasets import read_dataset
from tamperscope.errors import SettingsError
from tamperscope.report import ManipulationType
from tamperscope.synthesis import Mix
from tamperscope.synthesis.dataset import DatasetRecipe, write_dataset


@pytest.fixture
def recipe(photo_folders: tuple[Path, Path], tmp_path: Path) -> DatasetRecipe:
    photos, object_masks = photo_folders
    return DatasetRecipe(photos, object_masks, False, tmp_path / "set", "folder", True, 7, 64, Mix())


def write(recipe: DatasetRecipe, count: int, workers: int = 1) -> int:
    return write_dataset(recipe, count, workers, done=lambda _: None, skip=lambda *_: None)


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_the_plain_layout_is_read_back(recipe: DatasetRecipe) -> None:
    write(recipe, 12)
    records = [json.loads(line) for line in (recipe.out / "forgeries.jsonl").read_text().splitlines()]
    assert [record["number"] for record in records] == list(range(12))
    samples = {sample.image: sample for sample in read_dataset(recipe.out).samples}
    assert len(samples) == 12
    for record in records:
        sample = samples[recipe.out / record["file"]]
        assert sample.forged == (record["type"] is not None)
        assert sample.ground_truth(64, 64).any() == sample.forged
        assert (record["source_mask"] is not None) == (record["type"] == "copymove")


def test_several_workers_write_the_same_bytes_as_one(recipe: DatasetRecipe, tmp_path: Path) -> None:
    write(recipe, 8)
    write(dataclasses.replace(recipe, out=tmp_path / "other"), 8, workers=2)
    assert contents(recipe.out) == contents(tmp_path / "other")


def test_a_stopped_run_is_finished_and_nothing_is_made_twice(recipe: DatasetRecipe, tmp_path: Path) -> None:
    whole = dataclasses.replace(recipe, out=tmp_path / "whole")
    write(whole, 6)
    write(recipe, 4)
    log = recipe.out / "forgeries.jsonl"
    log.write_bytes(log.read_bytes()[:-10])  # killed while writing the fourth line
    assert write(recipe, 6) == 3
    assert contents(recipe.out) == contents(whole.out)
    assert write(recipe, 6) == 0


def test_one_folder_holds_one_recipe(recipe: DatasetRecipe) -> None:
    write(recipe, 1)
    with pytest.raises(SettingsError, match="other settings"):
        write(dataclasses.replace(recipe, seed=8), 1)


def test_a_damaged_photo_is_named_once_and_left_out(recipe: DatasetRecipe, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted(recipe.photos.rglob("*.jpg"))[:3]:
        (photos / path.name).write_bytes(path.read_bytes())
    damaged = photos / "damaged.jpg"
    damaged.write_bytes(path.read_bytes()[:2000])
    named: list[str] = []
    plain = dataclasses.replace(recipe, photos=photos, object_masks=None)
    write_dataset(plain, 10, 1, done=lambda _: None, skip=lambda name, _: named.append(name))
    assert named == ["damaged.jpg"]


def test_the_defacto_layout_has_the_folders_of_defacto(recipe: DatasetRecipe) -> None:
    types = {ManipulationType.SPLICING: 1.0, ManipulationType.COPYMOVE: 1.0, ManipulationType.INPAINTING: 1.0}
    write(dataclasses.replace(recipe, layout="defacto", mix=Mix(types=types)), 16)
    folders = {path.parent.relative_to(recipe.out).as_posix() for path in recipe.out.rglob("*.*")}
    assert folders >= {
        "authentic",
        "splicing_1_img/img",
        "splicing_1_annotations/probe_mask",
        "splicing_1_annotations/graph",
        "copymove_img/img",
        "copymove_annotations/probe_mask",
        "copymove_annotations/donor_mask",
        "inpainting_img/img",
        "inpainting_annotations/probe_mask",
        "inpainting_annotations/inpaint_mask",
    }
    for image in (recipe.out / "copymove_img/img").iterdir():
        assert image.suffix == ".tif"
        masks = recipe.out / "copymove_annotations"
        probe = np.asarray(PIL.Image.open(masks / "probe_mask" / f"{image.stem}.jpg")) > 127
        donor = np.asarray(PIL.Image.open(masks / "donor_mask" / f"{image.stem}.tif")) > 127
        assert probe.any()
        assert not (probe & donor).any()
        graph = json.loads((masks / "graph" / f"{image.stem}.json").read_text())
        assert graph[0]["Name"] == "Ground Truth"
        assert Path(graph[0]["Property"]["Path"]).stem in image.stem
