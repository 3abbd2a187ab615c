"""The entry points of the original project, kept working: two checkpoints, a token, port 5000.

server = start(DEEP_LAB_CHECKPOINT, CLASSIF_CHECKPOINT, NGROK_TOKEN)
server.url
server.stop()
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tamperscope.errors import SettingsError, TamperscopeError
from tamperscope.report import ManipulationType
from tamperscope.server import serve
from tamperscope.server.serve import RunningServer
from tamperscope.settings import Settings

# Where the original project looks for its weights, inside the model folder.
SEGMENTATION_FILE = "best_deeplabv3_defacto_last.pth"
CLASSIFICATION_FILE = "best_resnet50_defacto.pth"


def start(
    deep_lab_checkpoint: str = "",
    classif_checkpoint: str = "",
    ngrok_token: str = "",
    *,
    model_folder: Path = Path("model"),
) -> RunningServer:
    """Start a server in the background, with the two checkpoints or else with the default model.

    Empty arguments are read from the environment variables `DEEP_LAB_CHECKPOINT`, `CLASSIF_CHECKPOINT` and
    `NGROK_TOKEN`. Checkpoints that are still missing are looked up in `model_folder` under the original
    project's file names. With a token, the server opens an ngrok tunnel and has a public address.

    What the checkpoints do not say can be set in the environment too: `DEEP_LAB_ENCODER` and
    `CLASSIF_ENCODER`, `DEEP_LAB_SIZE` and `CLASSIF_SIZE` (the squares that the networks were trained on), and
    `CLASS_ORDER`. See `tamperscope import-checkpoint --help`.

    Raises `SettingsError` when only one checkpoint is found or a value is wrong. Raises as
    `import_checkpoints` and `serve.start` do.
    """
    return serve.start(
        settings_for(deep_lab_checkpoint, classif_checkpoint, ngrok_token, model_folder, os.environ)
    )


def run(
    deep_lab_checkpoint: str = "",
    classif_checkpoint: str = "",
    ngrok_token: str = "",
    *,
    model_folder: Path = Path("model"),
) -> None:
    """Serve as `start` does until SIGINT or SIGTERM; on an error, print it and exit with status 2."""
    try:
        serve.run(
            settings_for(deep_lab_checkpoint, classif_checkpoint, ngrok_token, model_folder, os.environ)
        )
    except TamperscopeError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def settings_for(
    deep_lab_checkpoint: str,
    classif_checkpoint: str,
    ngrok_token: str,
    model_folder: Path,
    environment: Mapping[str, str],
) -> Settings:
    """Return the settings for `start`, after importing the checkpoints if that has not been done yet."""
    settings = Settings.read(environment)
    if token := ngrok_token or settings.ngrok_token:
        settings = replace(settings, ngrok_token=token, tunnel="ngrok")
    segmentation = _checkpoint(
        deep_lab_checkpoint or environment.get("DEEP_LAB_CHECKPOINT", ""), model_folder / SEGMENTATION_FILE
    )
    classification = _checkpoint(
        classif_checkpoint or environment.get("CLASSIF_CHECKPOINT", ""), model_folder / CLASSIFICATION_FILE
    )
    if segmentation and classification:
        return replace(settings, model=_imported(segmentation, classification, model_folder, environment))
    if segmentation or classification:
        missing = "CLASSIF_CHECKPOINT" if segmentation else "DEEP_LAB_CHECKPOINT"
        raise SettingsError(
            f"{segmentation or classification} needs its counterpart: set {missing} as well, "
            f"or neither to serve the default model."
        )
    return settings


def _checkpoint(given: str, usual: Path) -> Path | None:
    if given:
        return Path(given)
    return usual if usual.is_file() else None


@dataclass(frozen=True)
class _Told:
    """What the environment says about the checkpoints."""

    segmentation_encoder: str | None
    classification_encoder: str | None
    class_order: tuple[str, ...]
    segmentation_size: int | None
    classification_size: int | None

    @classmethod
    def by(cls, environment: Mapping[str, str]) -> _Told:
        order = environment.get("CLASS_ORDER") or ",".join(ManipulationType)
        return cls(
            environment.get("DEEP_LAB_ENCODER") or None,
            environment.get("CLASSIF_ENCODER") or None,
            tuple(name.strip() for name in order.split(",")),
            _size("DEEP_LAB_SIZE", environment),
            _size("CLASSIF_SIZE", environment),
        )


def _size(variable: str, environment: Mapping[str, str]) -> int | None:
    given = environment.get(variable, "")
    if given and not (given.isdecimal() and 32 <= int(given) <= 2048):
        raise SettingsError(f"{variable} is {given!r}, but it must be a whole number from 32 to 2048.")
    return int(given) if given else None


def _imported(segmentation: Path, classification: Path, folder: Path, environment: Mapping[str, str]) -> Path:
    told = _Told.by(environment)
    # Named by content, so that a replaced checkpoint is imported again and an unchanged one is not.
    content = _sha256(segmentation) + _sha256(classification)
    if told != _Told.by({}):
        content += repr(told).encode()
    bundle = folder / f"imported-{hashlib.sha256(content).hexdigest()[:16]}"
    if bundle.is_dir():
        return bundle
    # Imported here because it needs PyTorch, and serving a bundle does not.
    from tamperscope.network.checkpoints import PairOptions, import_checkpoints

    options = PairOptions(
        segmentation_encoder=told.segmentation_encoder,
        classification_encoder=told.classification_encoder,
        class_order=told.class_order,
        segmentation_size=told.segmentation_size,
        classification_size=told.classification_size,
    )
    print(f"Importing {segmentation.name} and {classification.name} into {bundle}, once.", flush=True)
    import_checkpoints(segmentation, classification, bundle, options=options)
    return bundle


def _sha256(checkpoint: Path) -> bytes:
    try:
        with checkpoint.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SettingsError(f"The checkpoint {checkpoint} cannot be read: {reason}.") from None
