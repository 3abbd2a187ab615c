"""Build the distributions, install them into an empty environment, and use them in an empty folder.

python distributions/smoke.py                       # what `make smoke` calls
python distributions/smoke.py --python python3.13   # with another interpreter

It stops at the first step that fails, and prints how long each step took and what the parts weigh.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "docs" / "images" / "sample.jpg"
# Quick ones that need neither the model nor a service: they show that the sdist is complete enough to test.
SDIST_TESTS = ("test_bundle.py", "test_report.py", "test_settings.py", "images", "inference")
LARGEST_MODEL = 60e6
# The client waits until the server has loaded its model.
ASK = """
import sys
from tamperscope_client import Client
print(Client(sys.argv[1]).classify(sys.argv[2]).model_dump_json())
"""


def main() -> None:
    """Run every step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the empty environment")
    parser.add_argument("--no-tests", action="store_true", help="leave out the tests of the sdist")
    arguments = parser.parse_args()
    python = arguments.python
    with tempfile.TemporaryDirectory(prefix="tamperscope-smoke-") as folder:
        home = Path(folder)
        with step("built"):
            wheels = build(home / "dist")
        for wheel in wheels.iterdir():
            print(f"  {wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        # A folder of this name must not become the model of a program that runs beside it.
        shutil.copytree(ROOT / "model", home / "empty" / "model")
        command = Installed(home / "venv", home / "empty")
        with step("installed without the model"):
            command.install(python, wheels, "tamperscope")
        refused = command.run("analyze", SAMPLE, expect=2)
        assert "pip install 'tamperscope[model]'" in refused.stderr, refused.stderr
        with step("installed the model"):
            command.install(python, wheels, "tamperscope[model]")
        print(f"  environment: {size(home / 'venv') / 1e6:.0f} MB")
        with step("analysed an image, and wrote a PDF"):
            found = json.loads(command.run("analyze", SAMPLE, "--json", "--report", "report.pdf").stdout)
        assert found["verdict"] == "manipulated", found
        assert (home / "empty" / "report.pdf").read_bytes().startswith(b"%PDF-")
        # What serves further down is the trimmed environment.
        with step("trimmed the environment, and had the same answer"):
            run([sys.executable, ROOT / "distributions" / "trim.py", home / "venv"])
            command.variables["TAMPERSCOPE_CACHE"] = "none"
            again = command.run("analyze", SAMPLE, "--json", "--report", "report.pdf").stdout
        print(f"  environment: {size(home / 'venv') / 1e6:.0f} MB")
        assert json.loads(again) == found
        client = Installed(home / "client", home / "empty")
        with step("installed the client, and served it an image"):
            client.install(python, wheels, "tamperscope-client")
            answer = command.serve_one(client)
        assert abs(answer["manipulation_score"] - found["score"]) < 0.001, (answer, found["score"])
        if not arguments.no_tests:
            with step("ran tests of the sdist"):
                test_sdist(next(wheels.glob("*.tar.gz")), home / "sdist")
    print("The distributions work.")


@contextmanager
def step(done: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:6.1f} s  {done}", flush=True)


def build(out: Path) -> Path:
    """Write every wheel and the sdist into `out`. The wheel of the package is built from its sdist."""
    parts = (["--wheel", ROOT / "distributions" / name] for name in ("model", "client"))
    for arguments in (*parts, [ROOT]):
        run([sys.executable, "-m", "build", "--outdir", out, *arguments])
    heaviest = next(out.glob("tamperscope_model-*.whl")).stat().st_size
    assert heaviest < LARGEST_MODEL, f"The model's wheel has {heaviest} bytes."
    return out


class Installed:
    """The program in an environment of its own, run in a folder that is not a checkout."""

    def __init__(self, environment: Path, folder: Path) -> None:
        self.bin = environment / ("Scripts" if os.name == "nt" else "bin")
        self.environment = environment
        self.folder = folder
        own = {name: value for name, value in os.environ.items() if not name.startswith("TAMPERSCOPE_")}
        self.variables = own | {"XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}

    def install(self, python: str, wheels: Path, requirement: str) -> None:
        """Install from `wheels`, and what those need in the versions of constraints.txt."""
        if not self.environment.exists():
            run([python, "-m", "venv", self.environment])
        options = [
            "-q",
            "--disable-pip-version-check",
            "-c",
            ROOT / "constraints.txt",
            "--find-links",
            wheels,
        ]
        run([self.bin / "python", "-m", "pip", "install", *options, requirement], cwd=self.folder)

    def run(self, *arguments: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run([self.bin / "tamperscope", *arguments], cwd=self.folder, env=self.variables, expect=expect)

    def serve_one(self, client: Installed) -> dict[str, float]:
        """Start a server, have it classify the sample for the client, and stop it."""
        with subprocess.Popen(
            [self.bin / "tamperscope", "serve", "--port", "0"],
            cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as server:  # fmt: skip
            try:
                assert server.stdout
                address = server.stdout.readline().split()[-1]
                asked = run([client.bin / "python", "-c", ASK, address, SAMPLE], cwd=self.folder)
            finally:
                server.send_signal(signal.SIGTERM)
                _, log = server.communicate(timeout=60)
        # On Windows the signal ends the process at once.
        assert server.returncode == 0 or os.name == "nt", log
        answer: dict[str, float] = json.loads(asked.stdout)
        return answer


def test_sdist(archive: Path, folder: Path) -> None:
    """Run tests of the unpacked sdist, with the tools of the environment that runs this script."""
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    tests = [root / "tests" / name for name in SDIST_TESTS]
    variables = {**os.environ, "PYTHONPATH": str(root / "src"), "TAMPERSCOPE_MODEL": str(ROOT / "model")}
    done = run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests], cwd=root, env=variables)
    print(f"  {done.stdout.splitlines()[-1]}")


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def run(
    command: list[str | Path],
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    expect: int = 0,
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode != expect:
        print(done.stdout, done.stderr, file=sys.stderr)
        words = " ".join(map(str, command))
        sys.exit(f"exit code {done.returncode} instead of {expect}: {words}")
    return done


if __name__ == "__main__":
    main()
