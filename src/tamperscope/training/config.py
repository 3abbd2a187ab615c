"""What a training is told: a small YAML file, and `key=value` on top of it.

    config = read_config("synthetic-joint", ["synthetic.photos=photos", "budget.minutes=60"])

Three files come along: `defacto-segmentation`, `defacto-classification` and `synthetic-joint`.
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
# What the networks halve four times.
Side = Annotated[int, Field(ge=32, multiple_of=16)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(_Section):
    """Training on images that others forged."""

    path: Path
    layout: str = "folder"
    """How its files lie: one of `tamperscope.datasets.LAYOUTS`."""
    shares: dict[str, Share] = {"train": 0.8, "validation": 0.1, "test": 0.1}
    """How much of it is for what; photos that images were made from are never on two sides."""
    crop: Side = 512
    """Side in pixels of a training image. It is cut out, never scaled: scaling wipes traces out."""
    resaved: Share = 0.0
    """How many training images are saved as a JPEG once more, as whatever is passed on is."""

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
            raise ValueError("must hold train and validation")
        return shares


class Synthetic(_Section):
    """Training on forgeries made on the fly from authentic photos, a tenth of which is held out."""

    photos: Path
    """Folder with one folder of photos per collection."""
    object_masks: Path | None = None
    """Folder with `<collection>/<photo>*.png`, white = object."""
    size: Side = 224
    """Side in pixels of a training image."""


class Network(_Section):
    """What is trained."""

    encoder: str = "resnet50"
    """Any that segmentation_models_pytorch can dilate; for classification a ResNet of torchvision."""
    init: Path | None = None
    """Bundle folder or checkpoint to start from; ImageNet weights are a checkpoint too."""


class Optimisation(_Section):
    """How the weights move."""

    optimiser: Literal["adam", "adamw"] = "adamw"
    batch: Count = 8
    """Images per step, per device and per accumulated gradient."""
    accumulate: Count = 1
    """Gradients that are summed up before a step."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    started_rate: Rate = 2e-4
    """Peak learning rate of the weights that `network.init` had; 0 freezes them."""
    fresh_rate: Rate = 8e-4
    """Peak learning rate of the weights that start from random values."""
    schedule: Literal["cosine", "constant"] = "cosine"
    warm_up: Share = 0.04
    """Share of the budget in which the rates rise."""
    weight_decay: Rate = 1e-2
    gradient_clip: Rate | None = 1.0
    """Largest norm of a step's gradient."""
    ema_decay: Share | None = 0.99
    """Of the moving average of the weights that is validated and kept; None keeps the last weights."""


class Loss(_Section):
    """What is minimised: the weighted sum of what the network's outputs allow."""

    bce: Rate = 2.0
    """Binary cross-entropy of the mask."""
    dice: Rate = 0.5
    """1 - soft Dice of the mask, on forged images (Milletari et al. 2016)."""
    lovasz: Rate = 0.0
    """Lovász hinge of the mask, on forged images (Berman et al. 2018)."""
    edge: Rate = 0.0
    """How much more a pixel near the border of a manipulated area counts in the binary cross-entropy."""
    score: Rate = 0.2
    """Binary cross-entropy of the image's score."""
    type: Rate = 0.15
    """Cross-entropy of the manipulation type, on forged images."""
    class_balance: bool = False
    """Rare types count more, so that each type counts the same."""


class Budget(_Section):
    """When it ends, whichever comes first. The learning rate follows, so any budget is a whole schedule."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    epochs: Count | None = None
    steps: Count | None = None
    patience: Count | None = None
    """Validations without a better figure after which it ends."""
    epoch_steps: Count | None = None
    """Steps between validations; by default as many as the dataset takes."""
    checkpoint_steps: Count = 50
    """Steps between what `--resume` can go on from."""
    validation_images: Count = 200
    """Images that are validated, made or cut out once."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.minutes is None and self.epochs is None and self.steps is None:
            raise ValueError("needs minutes, epochs or steps")
        return self


class Machines(_Section):
    """What it runs on. Under torchrun the numbers come from torchrun."""

    accelerator: str = "auto"
    devices: Count | Literal["auto"] = "auto"
    """Per machine; by default every GPU, or the processor."""
    nodes: Count | Literal["auto"] = "auto"
    strategy: str = "auto"
    """One of Lightning's."""
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
    """A whole training."""

    dataset: Dataset | None = None
    synthetic: Synthetic | None = None
    network: Network = Network()
    optimisation: Optimisation = Optimisation()
    loss: Loss = Loss()
    budget: Budget
    machines: Machines = Machines()
    seed: int = 7

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.dataset is None) == (self.synthetic is None):
            raise ValueError("needs either dataset or synthetic")
        return self

    def write(self, path: Path) -> None:
        """Write this as YAML."""
        path.write_text(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def shipped_configs() -> tuple[str, ...]:
    """Return the names of the configs that come along."""
    folder = resources.files("tamperscope.training") / "configs"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir()))


def read_config(source: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a config file, or one that comes along by its name, and set `section.key=value` on top.

    Raises `SettingsError`, which names the key and what it may be, when something in it cannot be used.
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
            f"The config {name} cannot be read: {error.strerror}. It is a file, or one of "
            f"{', '.join(shipped_configs())}."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError(f"The config {name} is not YAML.") from None
    if not isinstance(document, dict):
        raise SettingsError(f"The config {name} holds no sections.")
    return document


def _set(document: dict[str, Any], override: str) -> None:
    path, equals, value = override.partition("=")
    *sections, key = path.split(".")
    if not equals:
        raise SettingsError(f"{override!r} is not of the form section.key=value.")
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
        return f"There is no {where}; " + (
            f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
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
