"""Start the server on port 5000, as in the original project: python deeplearningmodelrunsetup.py

Fill in the three values, or set environment variables of the same names. Without checkpoints, the server uses
the default model. Without a token, there is no public address.
"""

import sys
from pathlib import Path

try:
    from tamperscope.server import compat
except ModuleNotFoundError as missing:
    sys.exit(
        f"This needs the package {missing.name}. Install everything from this folder, and start again:\n"
        "    python -m pip install .\n"
        "For your own checkpoints: python -m pip install '.[train]'. For a public address: '.[tunnel]'."
    )

DEEP_LAB_CHECKPOINT = ""  # for example "model/best_deeplabv3_defacto_last.pth"
CLASSIF_CHECKPOINT = ""  # for example "model/best_resnet50_defacto.pth"
NGROK_TOKEN = ""

if __name__ == "__main__":
    compat.run(
        DEEP_LAB_CHECKPOINT,
        CLASSIF_CHECKPOINT,
        NGROK_TOKEN,
        model_folder=Path(__file__).with_name("model"),
    )
