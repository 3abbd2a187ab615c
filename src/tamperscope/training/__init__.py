"""Training on synthesised forgeries or on datasets, and on to a bundle. Needs the extra `train`.

config = read_config("synthetic-joint", ["synthetic.photos=photos", "budget.minutes=60"])
train("joint", config, Path("runs/joint"))
"""

from tamperscope._extra import require

require("Training", ("lightning", "matplotlib", "pydantic", "tensorboard", "torch", "yaml"), extra="train")

# Lightning imports torchvision by way of torchmetrics, so the guard must come before it.
import tamperscope.network._torchvision  # noqa: E402, F401
