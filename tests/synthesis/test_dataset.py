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
from tamperscope.synthesis.dataset import Order, write_dataset


@pytest.fixture
def order(photo_folders: tuple[Path, Path], tmp_path: Path) -> Order:
    photos, object_masks = photo_folders
    return Order(photos, object_masks, False, tmp_path / "set", "folder", True, 7, 64, Mix())


def write(order: Order, count: int, workers: int = 1) -> int:
    return write_dataset(order, count, workers, done=lambda _: None, skip=lambda *_: None)


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_the_plain_layout_is_read_back(order: Order) -> None:
    write(order, 12)
    records = [json.loads(line) for line in (order.out / "forgeries.jsonl").read_text().splitlines()]
    assert [record["number"] for record in records] == list(range(12))
    samples = {sample.image: sample for sample in read_dataset(order.out).samples}
    assert len(samples) == 12
    for record in records:
        sample = samples[order.out / record["file"]]
        assert sample.forged == (record["type"] is not None)
        assert sample.ground_truth(64, 64).any() == sample.forged
        assert (record["source_mask"] is not None) == (record["type"] == "copymove")


def test_several_workers_write_the_same_bytes_as_one(order: Order, tmp_path: Path) -> None:
    write(order, 8)
    write(dataclasses.replace(order, out=tmp_path / "other"), 8, workers=2)
    assert contents(order.out) == contents(tmp_path / "other")


def test_a_stopped_run_is_finished_and_nothing_is_made_twice(order: Order, tmp_path: Path) -> None:
    whole = dataclasses.replace(order, out=tmp_path / "whole")
    write(whole, 6)
    write(order, 4)
    log = order.out / "forgeries.jsonl"
    log.write_bytes(log.read_bytes()[:-10])  # killed while the fourth line was written
    assert write(order, 6) == 3
    assert contents(order.out) == contents(whole.out)
    assert write(order, 6) == 0


def test_one_folder_holds_one_order(order: Order) -> None:
    write(order, 1)
    with pytest.raises(SettingsError, match="other settings"):
        write(dataclasses.replace(order, seed=8), 1)


def test_a_damaged_photo_is_named_once_and_left_out(order: Order, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted(order.photos.rglob("*.jpg"))[:3]:
        (photos / path.name).write_bytes(path.read_bytes())
    damaged = photos / "damaged.jpg"
    damaged.write_bytes(path.read_bytes()[:2000])
    named: list[str] = []
    plain = dataclasses.replace(order, photos=photos, object_masks=None)
    write_dataset(plain, 10, 1, done=lambda _: None, skip=lambda name, _: named.append(name))
    assert named == ["damaged.jpg"]


def test_the_defacto_layout_has_the_folders_of_defacto(order: Order) -> None:
    types = {ManipulationType.SPLICING: 1.0, ManipulationType.COPYMOVE: 1.0, ManipulationType.INPAINTING: 1.0}
    write(dataclasses.replace(order, layout="defacto", mix=Mix(types=types)), 16)
    folders = {path.parent.relative_to(order.out).as_posix() for path in order.out.rglob("*.*")}
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
    for image in (order.out / "copymove_img/img").iterdir():
        assert image.suffix == ".tif"
        masks = order.out / "copymove_annotations"
        probe = np.asarray(PIL.Image.open(masks / "probe_mask" / f"{image.stem}.jpg")) > 127
        donor = np.asarray(PIL.Image.open(masks / "donor_mask" / f"{image.stem}.tif")) > 127
        assert probe.any()
        assert not (probe & donor).any()
        graph = json.loads((masks / "graph" / f"{image.stem}.json").read_text())
        assert graph[0]["Name"] == "Ground Truth"
        assert Path(graph[0]["Property"]["Path"]).stem in image.stem
