"""The configuration of a training run: a small YAML file, with `key=value` overrides.

    config = read_config("synthetic-joint", ["synthetic.photos=photos", "budget.minutes=60"])

Four configs are built in: `defacto-segmentation`, `defacto-classification`, `synthetic-joint` and
`continued-joint`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tamperscope.datasets import LAYOUTS
from tamperscope.errors import SettingsError

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
# The networks halve the sides four times.
Side = Annotated[int, Field(ge=32, multiple_of=16)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(_Section):
    """Training on a dataset of existing forgeries."""

    path: Path
    layout: str = "folder"
    """Layout of the files: one of `tamperscope.datasets.LAYOUTS`."""
    shares: dict[str, Share] = {"train": 0.8, "validation": 0.1, "test": 0.1}
    """Share of each part. Images made from the same photo are always in the same part."""
    crop: Side = 512
    """Side in pixels of a training image. Images are cropped, not scaled, because scaling destroys traces."""
    resaved: Share = 0.0
    """Share of the training images that are saved as JPEG again, like images that are shared."""
    sent: Share = 0.0
    """Share of the training images that are scaled down and then saved as JPEG, as messengers do."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """With `synthetic`, share of the training and of the validation images that come from the dataset."""

    @field_validator("layout")
    @classmethod
    def _known(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            raise ValueError(f"must be one of {', '.join(LAYOUTS)}")
        return layout

    @field_validator("shares")
    @classmethod
    def _trained_and_validated(cls, shares: dict[str, float]) -> dict[str, float]:
        if not {"train", "validation"} <= shares.keys():
            raise ValueError("must contain train and validation")
        return shares


class Synthetic(_Section):
    """Training on forgeries made on the fly from authentic photos. A tenth of the photos is held out."""

    photos: Path
    """Folder with one folder of photos per collection."""
    object_masks: Path | None = None
    """Folder with `<collection>/<photo>.png` or `<photo>__<anything>.png`, white = object."""
    size: Side = 224
    """Side in pixels of a training image."""


class Network(_Section):
    """The network that is trained."""

    encoder: str = "resnet50"
    """An encoder that segmentation_models_pytorch can dilate; for classification, a ResNet of torchvision."""
    init: Path | None = None
    """Bundle folder or checkpoint to start from. ImageNet weights count as a checkpoint."""


class Optimisation(_Section):
    """How the weights are updated."""

    optimiser: Literal["adam", "adamw"] = "adamw"
    batch: Count = 8
    """Images per device and accumulated gradient."""
    accumulate: Count = 1
    """Gradients that are accumulated before a step."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    started_rate: Rate = 2e-4
    """Peak learning rate of the weights copied from `network.init`; 0 freezes them."""
    fresh_rate: Rate = 8e-4
    """Peak learning rate of the weights that start from random values."""
    rates: dict[str, Rate] = {}
    """Peak learning rates of parts of the network, in place of these two:
    `{trunk.segmentation.encoder: 1e-4}` sets that of all weights whose names begin so. The longest such
    beginning counts.
    """
    frozen_norms: bool = False
    """Whether batch norms that start from `network.init` keep their statistics. Those of small batches are
    noisy.
    """
    schedule: Literal["cosine", "constant"] = "cosine"
    warm_up: Share = 0.04
    """Share of the budget during which the learning rates rise."""
    weight_decay: Rate = 1e-2
    gradient_clip: Rate | None = 1.0
    """Largest gradient norm of a step."""
    ema_decay: Share | None = 0.99
    """Decay of the weights' moving average, which is validated and saved. None saves the weights themselves.
    """


class Loss(_Section):
    """Weights of the loss terms. The loss is the sum of the terms that the network's outputs allow."""

    bce: Rate = 2.0
    """Binary cross-entropy of the mask."""
    dice: Rate = 0.5
    """1 - soft Dice of the mask, on forged images (Milletari et al. 2016)."""
    lovasz: Rate = 0.0
    """Lovász hinge of the mask, on forged images (Berman et al. 2018)."""
    edge: Rate = 0.0
    """Additional weight, in the binary cross-entropy, of pixels near the border of a manipulated region."""
    score: Rate = 0.2
    """Binary cross-entropy of the image's score."""
    type: Rate = 0.15
    """Cross-entropy of the manipulation type, on forged images."""
    trunk: Rate = 0.0
    """Weight of the same terms for the outputs of the joint network's trunk alone."""
    class_balance: bool = False
    """Whether to weight images by type so that all types contribute equally."""


class Budget(_Section):
    """When training ends: at whichever limit is reached first.

    The learning-rate schedule is stretched to the budget, so any budget runs a whole schedule.
    """

    minutes: Annotated[float, Field(gt=0)] | None = None
    epochs: Count | None = None
    steps: Count | None = None
    patience: Count | None = None
    """Validations without improvement after which training ends."""
    epoch_steps: Count | None = None
    """Steps between validations; by default one pass over the dataset, or 200 steps for photos."""
    checkpoint_steps: Count = 50
    """Steps between checkpoints, from which `--resume` continues."""
    validation_images: Count = 200
    """Number of validation images, made or cropped once."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.minutes is None and self.epochs is None and self.steps is None:
            raise ValueError("needs minutes, epochs or steps")
        return self


class Machines(_Section):
    """The hardware to run on. Under torchrun, the "auto" counts come from torchrun."""

    accelerator: str = "auto"
    devices: Count | Literal["auto"] = "auto"
    """Devices per machine; by default every GPU, or the CPU on a machine without GPUs."""
    nodes: Count | Literal["auto"] = "auto"
    strategy: str = "auto"
    """A strategy of Lightning."""
    workers: Annotated[int, Field(ge=0)] = 1
    """Processes per device that prepare images."""

    def device_count(self) -> int:
        """Return the number of devices per machine."""
        if self.devices != "auto":
            return self.devices
        return int(os.environ.get("LOCAL_WORLD_SIZE", 0)) or max(torch.cuda.device_count(), 1)

    def node_count(self) -> int:
        """Return the number of machines."""
        return int(os.environ.get("GROUP_WORLD_SIZE", 1)) if self.nodes == "auto" else self.nodes


class Config(_Section):
    """The configuration of a training run.

    With both `dataset` and `synthetic`, training mixes them: forgeries that other programs made correct what
    a network learns of the synthesis alone.
    """

    dataset: Dataset | None = None
    synthetic: Synthetic | None = None
    network: Network = Network()
    optimisation: Optimisation = Optimisation()
    loss: Loss = Loss()
    budget: Budget
    machines: Machines = Machines()
    seed: int = 7

    @model_validator(mode="after")
    def _a_source(self) -> Self:
        if self.dataset is None and self.synthetic is None:
            raise ValueError("needs dataset, synthetic or both")
        if self.dataset and self.synthetic and self.dataset.crop != self.synthetic.size:
            raise ValueError(
                f"needs dataset.crop and synthetic.size to be equal, not {self.dataset.crop} and "
                f"{self.synthetic.size}"
            )
        return self

    def write(self, path: Path) -> None:
        """Write this config as YAML."""
        path.write_text(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def shipped_configs() -> tuple[str, ...]:
    """Return the names of the built-in configs."""
    folder = resources.files("tamperscope.training") / "configs"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir()))


def read_config(source: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a config and apply overrides.

    Args:
        source: A YAML file, or the name of a built-in config.
        overrides: Settings of the form `section.key=value`, with the value as YAML.

    Returns:
        The validated config.

    Raises:
        SettingsError: The config cannot be read or a setting is invalid. The message names the key and the
            valid values.
    """
    document = _document(source)
    for override in overrides:
        _set(document, override)
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise SettingsError(" ".join(_sentence(dict(found)) for found in error.errors())) from None


def _document(source: str | Path) -> dict[str, Any]:
    name = str(source)
    try:
        if name in shipped_configs():
            text = (resources.files("tamperscope.training") / "configs" / f"{name}.yaml").read_text("utf-8")
        else:
            text = Path(source).read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except OSError as error:
        raise SettingsError(
            f"The config {name} cannot be read: {error.strerror}. Give a YAML file, or one of "
            f"{', '.join(shipped_configs())}."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError(f"The config {name} is not YAML.") from None
    if not isinstance(document, dict):
        raise SettingsError(f"The config {name} has no sections.")
    return document


def _set(document: dict[str, Any], override: str) -> None:
    path, equals, value = override.partition("=")
    *sections, key = path.split(".")
    if not equals:
        raise SettingsError(f"{override!r} does not have the form section.key=value.")
    for section in sections:
        if not isinstance(document.get(section), dict):
            document[section] = {}
        document = document[section]
    try:
        document[key] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise SettingsError(f"{override!r} has a value that is not YAML.") from None


def _sentence(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        *sections, key = error["loc"]
        known = _keys(sections)
        close = difflib.get_close_matches(str(key), known, n=1)
        return f"There is no setting {where}; " + (
            f"did you mean {close[0]}?" if close else f"choose one of {', '.join(known)}."
        )
    reason = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict):
        return f"{where or 'The config'} {reason}."
    return f"{where}: {reason}, not {error['input']!r}."


def _keys(sections: Iterable[Any]) -> list[str]:
    model: Any = Config
    for section in sections:
        annotation = model.model_fields[section].annotation
        options = getattr(annotation, "__args__", (annotation,))
        model = next(
            option for option in options if isinstance(option, type) and issubclass(option, _Section)
        )
    return list(model.model_fields)
