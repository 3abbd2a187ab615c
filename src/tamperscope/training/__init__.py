"""Training on synthesised forgeries or datasets, calibration and release. Needs the extra `train`.

config = read_config("synthetic-joint", ["synthetic.photos=photos", "budget.minutes=60"])
train("joint", config, Path("runs/joint"))
"""

from tamperscope._extra import require

require("Training", ("lightning", "matplotlib", "pydantic", "tensorboard", "torch", "yaml"), extra="train")

# Lightning imports torchvision through torchmetrics, so this module must be imported first.
import tamperscope.network._torchvision  # noqa: E402, F401
