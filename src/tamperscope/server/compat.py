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
from dataclasses import replace
from pathlib import Path

from tamperscope.errors import SettingsError, TamperscopeError
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

    Raises `SettingsError` when only one checkpoint is found. Raises as `import_checkpoints` and `serve.start`
    do.
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
        return replace(settings, model=_imported(segmentation, classification, model_folder))
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


def _imported(segmentation: Path, classification: Path, folder: Path) -> Path:
    # Named by content, so that a replaced checkpoint is imported again and an unchanged one is not.
    digest = hashlib.sha256(_sha256(segmentation) + _sha256(classification)).hexdigest()[:16]
    bundle = folder / f"imported-{digest}"
    if bundle.is_dir():
        return bundle
    # Imported here because it needs PyTorch, and serving a bundle does not.
    from tamperscope.network.checkpoints import import_checkpoints

    print(f"Importing {segmentation.name} and {classification.name} into {bundle}, once.", flush=True)
    import_checkpoints(segmentation, classification, bundle)
    return bundle


def _sha256(checkpoint: Path) -> bytes:
    try:
        with checkpoint.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SettingsError(f"The checkpoint {checkpoint} cannot be read: {reason}.") from None
