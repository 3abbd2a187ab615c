"""What the distributions beside the package's own hold. `make smoke` builds and uses them."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "distributions" / "model"
CLIENT = ROOT / "distributions" / "client"


def test_the_models_wheel_holds_the_files_of_the_bundle() -> None:
    wheel = tomllib.loads((MODEL / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]
    included = wheel["wheel"]["force-include"]
    bundle = {
        file for source, file in included.items() if (MODEL / source).resolve().parent == ROOT / "model"
    }

    manifest = json.loads((ROOT / "model" / "bundle.json").read_text("utf-8"))

    assert bundle == {f"tamperscope_model/{file}" for file in ("bundle.json", *manifest["files"])}


def test_the_extra_asks_for_the_model_of_this_checkout() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    manifest = json.loads((ROOT / "model" / "bundle.json").read_text("utf-8"))

    assert extras["model"] == [f"tamperscope-model>={manifest['version']}"]


def test_the_version_of_the_models_wheel_is_the_bundles() -> None:
    version = tomllib.loads((MODEL / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["version"]
    manifest = (MODEL / version["path"]).read_text("utf-8")

    found = re.search(version["pattern"], manifest)

    assert found
    assert found["version"] == json.loads(manifest)["version"]


def test_the_clients_wheel_holds_what_the_client_imports() -> None:
    script = (
        "import sys, tamperscope.client; print(*(m for m in sys.modules if m.startswith('tamperscope.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    needed = {module.removeprefix("tamperscope.").replace(".", "/") for module in done.stdout.split()}

    held = {module.removesuffix(".py").removesuffix("/__init__") for module in hook_modules()}

    assert held == needed


def hook_modules() -> tuple[str, ...]:
    # Read and not imported: hatchling is there only while a wheel is built.
    tree = ast.parse((CLIENT / "build_hook.py").read_text("utf-8"))
    values = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    modules: tuple[str, ...] = ast.literal_eval(values["MODULES"])
    return modules


def test_the_client_asks_for_what_the_package_asks_for() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    client = tomllib.loads((CLIENT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]

    assert set(client) <= set(package)
