import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import samples
from tamperscope.datasets import read_dataset
from tamperscope.errors import PhotosError, TrainingError
from tamperscope.training.config import Config, read_config
from tamperscope.training.data import Batches, Crops, Example, Mixed, TrainingData


def equal(one: Example, other: Example) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_crop_depends_only_on_its_number(dataset: Path) -> None:
    found = read_dataset(dataset).samples
    crops, again = (Crops(found, 32, seed=1) for _ in range(2))
    assert not equal(again[0], again[1])
    assert equal(crops[50], again[50])
    assert not equal(crops[50], crops[51])
    assert not equal(crops[50], Crops(found, 32, seed=2)[50])


def test_every_image_is_seen_once_before_any_is_seen_again(dataset: Path) -> None:
    found = read_dataset(dataset).samples[:8]
    # The crops are as large as the images, whose colours identify them.
    crops = Crops(found, 48, seed=1)
    for turn in range(2):
        seen = {int(crops[number].image.long().sum()) for number in range(8 * turn, 8 * turn + 8)}
        assert len(seen) == 8


def test_pixels_and_mask_are_cut_at_the_same_place(dataset: Path) -> None:
    crops = Crops([sample for sample in read_dataset(dataset).samples if sample.forged], 32, seed=1)
    marked = [example for example in map(crops.__getitem__, range(20)) if example.mask.any()]
    assert len(marked) > 10
    assert all((example.image[example.mask] == example.image[example.mask][0]).all() for example in marked)


def test_crops_start_on_the_block_grid(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:96, :96].astype(np.uint8)
    samples.write(tmp_path / "images" / "a.png", np.dstack([rows, columns, 0 * rows]))
    samples.write(tmp_path / "masks" / "a.png", np.full((96, 96), 255, np.uint8))
    crops = Crops(read_dataset(tmp_path).samples, 32, seed=1)
    # A mirrored crop starts on the grid at its other end.
    begins = {tuple(int(crops[number].image[..., axis].min()) for axis in (0, 1)) for number in range(50)}
    assert len(begins) > 10
    assert all(top % 8 == 0 and left % 8 == 0 for top, left in begins)


def test_a_share_of_the_crops_is_compressed_again(tmp_path: Path) -> None:
    samples.write(
        tmp_path / "authentic" / "grain.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    )
    found = read_dataset(tmp_path).samples
    plain, half, all_of_them = (Crops(found, 32, seed=1, resaved=share) for share in (0, 0.5, 1))
    kept = [bool((half[number].image == plain[number].image).all()) for number in range(40)]
    assert 8 < sum(kept) < 32
    for number in range(5):
        change = (all_of_them[number].image.float() - plain[number].image.float()).abs().mean()
        assert 1 < change < 60


def test_a_crop_that_is_sent_is_scaled_with_its_mask_and_compressed(tmp_path: Path) -> None:
    # A ramp of three levels a column. Scaling it down makes it steeper.
    ramp = np.tile(np.arange(64, dtype=np.uint8)[:, None] * 3, (64, 1, 3))
    samples.write(tmp_path / "images" / "a.png", ramp)
    samples.write(tmp_path / "masks" / "a.png", np.where(ramp[..., 0] > 90, 255, 0).astype(np.uint8))
    found = read_dataset(tmp_path).samples
    plain, sent = (Crops(found, 32, seed=1, sent=share) for share in (0, 1))
    steps = {name: [] for name in ("plain", "sent")}
    for number in range(20):
        for name, crops in (("plain", plain), ("sent", sent)):
            example = crops[number]
            columns = example.image[..., 0].float().mean(dim=0)
            steps[name].append(abs(float(columns[-1] - columns[0])) / 31)
            bright = columns > 90
            assert (example.mask.float().mean(dim=0).round().bool() == bright).float().mean() > 0.9
    assert np.allclose(steps["plain"], 3)
    assert min(steps["sent"]) > 3.2
    assert max(steps["sent"]) < 6.5


def test_an_image_smaller_than_the_crop_is_padded(dataset: Path) -> None:
    example = Crops(read_dataset(dataset).samples, 96, seed=1)[0]
    assert example.image.shape == (96, 96, 3)
    assert example.mask.shape == (96, 96)


def test_an_unreadable_image_is_skipped(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path, dirs_exist_ok=True)
    found = read_dataset(tmp_path).samples[:2]
    found[0].image.write_bytes(b"no image")
    crops = Crops(found, 48, seed=1)
    assert equal_images(crops[0], crops[1])
    found[1].image.write_bytes(b"no image")
    with pytest.raises(TrainingError, match="cannot be used"):
        crops[0]


def equal_images(one: Example, other: Example) -> bool:
    return one.image.long().sum() == other.image.long().sum()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty photos from two cameras, large enough for forgeries of 64 pixels."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(20):
        samples.write(root / "ab"[number % 2] / f"{number:02}.png", samples.photo(160, 128, seed=number))
    return root


@pytest.mark.parametrize("types_needed", [False, True])
def test_forgeries_are_numbered_and_all_forged_when_types_are_needed(
    config_file: Path, photos: Path, types_needed: bool
) -> None:
    overrides = ["dataset=null", f"synthetic.photos={photos}", "synthetic.size=64"]
    config = read_config(config_file, [*overrides, "budget.validation_images=8"])
    data, again = (TrainingData(config, types_needed=types_needed) for _ in range(2))
    assert all(equal(*pair) for pair in zip(data.validation, again.validation, strict=True))
    assert equal(data.training[9], again.training[9])
    authentic = [example for example in data.validation if not example.mask.any()]
    assert bool(authentic) is not types_needed


def test_batches_are_divided_between_processes() -> None:
    alone = list(itertools.islice(Batches(3, first=0, process=0, processes=1), 8))
    shared = [list(itertools.islice(Batches(3, 0, process, 2), 4)) for process in range(2)]
    assert [batch for pair in zip(*shared, strict=True) for batch in pair] == alone


def test_a_resumed_run_continues_with_the_next_batch() -> None:
    whole = list(itertools.islice(Batches(3, 0, 1, 2), 5))
    assert list(itertools.islice(Batches(3, 2, 1, 2), 3)) == whole[2:]


def test_training_and_validation_share_no_image(config: Config) -> None:
    data = TrainingData(config)
    assert data.length == 32
    assert len(data.validation) == 4


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["dataset.path=nowhere"], r"no folder nowhere; set dataset\.path=FOLDER"),
        (["dataset=null", "synthetic.photos=nowhere"], r"no folder nowhere; .*synthetic\.photos=FOLDER"),
        (["dataset=null", "synthetic.photos=."], r"There is no photo in"),
    ],
)
def test_missing_data_is_named(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    overrides: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TrainingError, PhotosError), match=sentence):
        TrainingData(read_config(config_file, overrides))


def test_a_dataset_without_types_is_rejected_when_types_are_needed(config: Config) -> None:
    with pytest.raises(TrainingError, match="no images whose manipulation type is known"):
        TrainingData(config, types_needed=True)


def test_a_share_of_the_forgeries_is_replaced_by_every_crop_in_turn(dataset: Path) -> None:
    forged = [sample for sample in read_dataset(dataset).samples if sample.forged]
    forgeries, crops = Crops(forged, 32, seed=1), Crops(forged, 32, seed=2)
    mixed = Mixed(forgeries, crops, share=0.25, seed=3)
    replaced = [number for number in range(40) if not equal(mixed[number], forgeries[number])]
    assert len(replaced) == 10
    first = next(number for number in range(4) if equal(mixed[replaced[0]], crops[number]))
    for turn, number in enumerate(replaced):
        assert equal(mixed[number], crops[first + turn])


def test_synthesis_and_a_dataset_are_mixed(dataset: Path, config_file: Path, tmp_path: Path) -> None:
    for number in range(10):
        samples.write(tmp_path / f"{number}.png", samples.photo(80, 80, number))
    data = TrainingData(
        read_config(config_file, [f"synthetic={{photos: {tmp_path}, size: 32}}", "dataset.share=0.5"])
    )
    assert isinstance(data.training, Mixed)
    assert len(data.validation) == 4
    assert "9 photos to train on, 1 to validate on; 50% from a dataset: 32 images" in data.summary
