"""What the distributions beside the package's own hold. `make smoke` builds and uses them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "distributions" / "model"


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
