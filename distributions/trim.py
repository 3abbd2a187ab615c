"""Delete the files of an environment that no answer of tamperscope needs, about 200 MB.

python distributions/trim.py venv
python distributions/trim.py venv --keep accelerators    # for --device openvino-gpu and npu

The packages contain more than they load: sources, other versions of a library, readers of other formats. pip
cannot leave those out. Trim only an environment that nothing else uses. Installing a package again brings its
files back.

`distributions/smoke.py` trims an environment, and compares its answer with the one from before.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Surplus:
    """Files of one package that no answer needs."""

    package: str
    what: str
    patterns: tuple[str, ...]
    """Of files and folders below site-packages; folders go with all that they contain."""
    kept: tuple[str, ...] = ()
    """Patterns of what stays, although a pattern above fits it."""
    kept_with: str | None = None
    """The word after `--keep` that leaves them alone."""


SURPLUS = (
    Surplus("c2pa-python", "a static library, for linking Rust programs", ("c2pa/libs/*.rlib",)),
    Surplus(
        "jpeglib",
        "sources in C, and 22 of 24 versions of libjpeg",
        ("jpeglib/cjpeglib/*",),
        # jpeglib loads version 6b when it is imported. `images` reads coefficients with turbo210.
        kept=(
            "jpeglib/cjpeglib/__*",
            "jpeglib/cjpeglib/cjpeglib_6b.*",
            "jpeglib/cjpeglib/cjpeglib_turbo210.*",
        ),
    ),
    Surplus(
        "openvino",
        "headers, and readers of TensorFlow Lite, PyTorch, PaddlePaddle, JAX and GGUF",
        (
            "openvino/libs/*_tensorflow_lite_*",
            "openvino/libs/*_pytorch_*",
            "openvino/libs/*_paddle_*",
            "openvino/libs/*_jax_*",
            "openvino/libs/*_gguf_*",
            "openvino/include",
            "openvino/cmake",
        ),
    ),
    Surplus(
        "openvino",
        "plugins for Intel's GPUs and NPUs",
        ("openvino/libs/*_intel_gpu_plugin.*", "openvino/libs/*_intel_npu_*", "openvino/libs/cache.json"),
        kept_with="accelerators",
    ),
    Surplus("numpy", "tests and headers", ("numpy/**/tests", "numpy/_core/include")),
    Surplus("sqlalchemy", "tests", ("sqlalchemy/testing",)),
)


def main() -> None:
    """Delete, and print what each part weighed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("environment", type=Path, help="folder that `python -m venv` made")
    parser.add_argument("--keep", choices=["accelerators"], help="what to leave alone")
    arguments = parser.parse_args()
    packages = site_packages(arguments.environment)
    if packages is None:
        parser.error(f"{arguments.environment} is not an environment that holds tamperscope.")
    total = 0
    for surplus in SURPLUS:
        if surplus.kept_with == arguments.keep is not None:
            continue
        freed = sum(map(delete, found(packages, surplus)))
        total += freed
        print(f"{freed / 1e6:6.1f} MB  {surplus.package}: {surplus.what}")
    print(f"{total / 1e6:6.1f} MB  in all")


def site_packages(environment: Path) -> Path | None:
    """Return the folder of an environment's packages, None unless tamperscope is among them."""
    if not (environment / "pyvenv.cfg").is_file():
        return None
    folders = (environment / "Lib" / "site-packages", *environment.glob("lib/python3*/site-packages"))
    return next((folder for folder in folders if any(folder.glob("tamperscope-*.dist-info"))), None)


def found(packages: Path, surplus: Surplus) -> Iterator[Path]:
    """Yield the files and folders of a surplus that are there."""
    kept = {path for pattern in surplus.kept for path in packages.glob(pattern)}
    for pattern in surplus.patterns:
        for path in sorted(packages.glob(pattern)):
            # A folder above it may be gone already.
            if path not in kept and path.exists():
                yield path


def delete(path: Path) -> int:
    """Delete a file or folder, and return how many bytes it held."""
    if path.is_file() or path.is_symlink():
        held = path.lstat().st_size
        path.unlink()
        return held
    held = sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    shutil.rmtree(path)
    return held


if __name__ == "__main__":
    main()
