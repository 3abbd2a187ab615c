from pathlib import Path

import pytest

from tamperscope.errors import SettingsError
from tamperscope.training.config import read_config, shipped_configs


@pytest.mark.parametrize("name", shipped_configs())
def test_every_config_that_comes_along_can_be_used(name: str) -> None:
    assert read_config(name).budget


def test_all_three_come_along() -> None:
    assert shipped_configs() == ("defacto-classification", "defacto-segmentation", "synthetic-joint")


def test_overrides_win(config_file: Path) -> None:
    config = read_config(config_file, ["budget.minutes=5", "network.encoder=resnet34", "loss.dice=0"])
    assert (config.budget.minutes, config.network.encoder, config.loss.dice) == (5, "resnet34", 0)


def test_a_written_config_reads_back_equal(config_file: Path, tmp_path: Path) -> None:
    config = read_config(config_file)
    config.write(tmp_path / "again.yaml")
    assert read_config(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimisation.bacth=4", r"There is no optimisation\.bacth; did you mean batch\?"),
        ("dataset.zoom=4", r"There is no dataset\.zoom; there are path, layout, shares, crop, resaved\."),
        ("optimisation.batch=0", r"optimisation\.batch: Input should be greater than or equal to 1, not 0\."),
        ("optimisation.precision=16", r"optimisation\.precision: .*'32-true' or 'bf16-mixed', not 16\."),
        ("dataset.crop=100", r"dataset\.crop: .*multiple of 16, not 100\."),
        ("dataset.layout=casia9", r"dataset\.layout: must be one of .*folder.*, not 'casia9'\."),
        ("dataset=null", r"needs either dataset or synthetic"),
        ("budget={}", r"budget needs minutes, epochs or steps"),
        ("batch", r"'batch' is not of the form section\.key=value"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_can(config_file: Path, override: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read_config(config_file, [override])


def test_a_missing_file_names_the_configs_that_come_along() -> None:
    with pytest.raises(SettingsError, match=r"nope cannot be read: No such file.*synthetic-joint"):
        read_config("nope")


@pytest.mark.parametrize("content", ["[", "just words"])
def test_a_file_that_is_no_config_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"is not YAML|holds no sections"):
        read_config(path)
