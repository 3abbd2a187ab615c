"""Training on synthesised forgeries. Needs the extra `train`.

python -m tamperscope.training --photos PHOTOS --object-masks MASKS --minutes 60 --out runs/joint
"""

# Lightning imports torchvision by way of torchmetrics, so the guard must come before it.
import tamperscope.network._torchvision  # noqa: F401
