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
    """Return a server in the background, with the checkpoints if there are any, else the default bundle.

    What is left empty is taken from the environment's `DEEP_LAB_CHECKPOINT`, `CLASSIF_CHECKPOINT` and
    `NGROK_TOKEN`, and checkpoints then from `model_folder`, where they have the original project's names.
    With a token the server gets a public address.

    Raises `SettingsError` when only one checkpoint is there, and as `import_checkpoints` and `serve.start`.
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
    """Serve as `start` does until SIGINT or SIGTERM; exit with 2 and one sentence when that cannot be."""
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
    """Return the settings that `start` serves with; imports the checkpoints if that was not done yet."""
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
            f"or neither to serve the bundle that comes along."
        )
    return settings


def _checkpoint(given: str, usual: Path) -> Path | None:
    if given:
        return Path(given)
    return usual if usual.is_file() else None


def _imported(segmentation: Path, classification: Path, folder: Path) -> Path:
    # Named by content, so that a replaced checkpoint is imported anew and an unchanged one never again.
    digest = hashlib.sha256(_sha256(segmentation) + _sha256(classification)).hexdigest()[:16]
    bundle = folder / f"imported-{digest}"
    if bundle.is_dir():
        return bundle
    # Only here, because it needs PyTorch, which serving a bundle does without.
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
