"""What the distributions beside the package's own hold. `make smoke` builds and uses them."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from scripts import script
from tamperscope.bundle import Bundle

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


# Prints every file that an analysis with all measurements has loaded.
ANALYSE = """
import sys
import tamperscope.server.serve
from tamperscope import Detector
Detector.load(sys.argv[1]).analyze(sys.argv[2], all_evidence=True)
print(*(getattr(module, "__file__", None) for module in list(sys.modules.values())), sep="\\n")
print(*(line.split()[-1] for line in open("/proc/self/maps")), sep="\\n")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_trimming_deletes_nothing_that_an_analysis_loads(joint_bundle: Bundle) -> None:
    trim = script("distributions/trim")
    packages = Path(sysconfig.get_path("purelib"))
    sample = ROOT / "docs" / "images" / "sample.jpg"
    done = subprocess.run(
        [sys.executable, "-c", ANALYSE, joint_bundle.path, sample], capture_output=True, text=True, check=True
    )
    loaded = {Path(line) for line in done.stdout.splitlines() if line.startswith("/")}

    deleted = [path for surplus in trim.SURPLUS for path in trim.found(packages, surplus)]

    assert any(path.name.startswith("libopenvino_onnx_frontend") for path in loaded)
    assert [file for file in loaded if any(file.is_relative_to(path) for path in deleted)] == []


def test_trimming_leaves_what_it_is_told_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    plugin = "openvino/libs/libopenvino_intel_gpu_plugin.so"
    libraries = ("jpeglib/cjpeglib/cjpeglib_6b.abi3.so", "jpeglib/cjpeglib/cjpeglib_turbo210.abi3.so")
    surplus = ("jpeglib/cjpeglib/cjpeglib_9f.abi3.so", "jpeglib/cjpeglib/9f/jmain.c", "numpy/ma/tests/a.py")
    for file in ("tamperscope-0.1.0.dist-info/RECORD", plugin, *libraries, *surplus):
        (packages / file).parent.mkdir(parents=True, exist_ok=True)
        (packages / file).write_bytes(bytes(1_000_000))
    (tmp_path / "pyvenv.cfg").touch()

    monkeypatch.setattr(sys, "argv", ["trim.py", str(tmp_path), "--keep", "accelerators"])
    script("distributions/trim").main()

    assert all((packages / file).exists() for file in (plugin, *libraries))
    assert not any((packages / file).exists() for file in surplus)
    assert "3.0 MB  in all" in capsys.readouterr().out


def test_trimming_refuses_a_folder_that_is_not_an_environment_of_tamperscope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["trim.py", str(tmp_path)])

    with pytest.raises(SystemExit, match="2"):
        script("distributions/trim").main()

    assert "is not an environment that holds tamperscope" in capsys.readouterr().err
