from pathlib import Path

import pytest

from tamperscope.errors import SettingsError
from tamperscope.training.config import read_config, shipped_configs


@pytest.mark.parametrize("name", shipped_configs())
def test_every_built_in_config_is_valid(name: str) -> None:
    assert read_config(name).budget


def test_the_built_in_configs_are_listed() -> None:
    assert shipped_configs() == (
        "continued-joint",
        "defacto-classification",
        "defacto-segmentation",
        "synthetic-joint",
    )


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
        ("optimisation.bacth=4", r"There is no setting optimisation\.bacth; did you mean batch\?"),
        (
            "dataset.zoom=4",
            r"There is no setting dataset\.zoom; choose one of path, layout, shares, crop, resaved, sent",
        ),
        ("optimisation.batch=0", r"optimisation\.batch: Input should be greater than or equal to 1, not 0\."),
        ("optimisation.precision=16", r"optimisation\.precision: .*'32-true' or 'bf16-mixed', not 16\."),
        ("dataset.crop=100", r"dataset\.crop: .*multiple of 16, not 100\."),
        ("dataset.layout=casia9", r"dataset\.layout: must be one of .*folder.*, not 'casia9'\."),
        ("dataset=null", r"needs dataset, synthetic or both"),
        (
            "synthetic={photos: photos, size: 224}",
            r"needs dataset\.crop and synthetic\.size to be equal, not 32",
        ),
        ("budget={}", r"budget needs minutes, epochs or steps"),
        ("batch", r"'batch' does not have the form section\.key=value"),
    ],
)
def test_an_invalid_setting_is_named_with_the_valid_ones(
    config_file: Path, override: str, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read_config(config_file, [override])


def test_a_missing_file_is_reported_with_the_built_in_configs() -> None:
    with pytest.raises(SettingsError, match=r"nope cannot be read: No such file.*synthetic-joint"):
        read_config("nope")


@pytest.mark.parametrize("content", ["[", "just words"])
def test_a_file_that_is_not_a_config_is_reported(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"is not YAML|has no sections"):
        read_config(path)
