"""The public surface of the package is exactly this."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import tamperscope
from tamperscope import errors

SURFACE = {
    "Box",
    "Bundle",
    "BundleIdentity",
    "Detector",
    "Image",
    "ImageFacts",
    "ImageLimits",
    "ManipulationType",
    "Region",
    "Report",
    "Verdict",
    "__version__",
    "read_image",
}


def test_the_package_offers_exactly_this() -> None:
    raised = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(tamperscope.__all__) == SURFACE | raised
    assert all(hasattr(tamperscope, name) for name in tamperscope.__all__)
    assert dir(tamperscope) == sorted(tamperscope.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Detektor'"):
        tamperscope.Detektor  # noqa: B018


def test_the_version_is_the_same_everywhere() -> None:
    changelog = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest
    assert tamperscope.__version__ == metadata.version("tamperscope")
    assert tamperscope.__version__.removesuffix(".dev0") == newest[1]
    citation = yaml.safe_load((Path(__file__).parents[1] / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == tamperscope.__version__.removesuffix(".dev0")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("tamperscope", ("cv2", "openvino", "torch", "PIL")),
        ("tamperscope.detector", ("torch", "torchvision", "onnx", "flask")),
    ],
)
def test_importing_stays_light(module: str, heavy: tuple[str, ...]) -> None:
    """Serving needs no PyTorch, and a command's help needs no runtime."""
    script = f"import sys, {module}; print(*sorted(set({heavy!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
