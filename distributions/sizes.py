"""Print how many MB each package of an environment takes, largest first.

python distributions/sizes.py venv
"""

from __future__ import annotations

import argparse
from importlib.metadata import Distribution, distributions
from pathlib import Path

from trim import site_packages


def main() -> None:
    """Print a line for each package, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("environment", type=Path, help="folder that `python -m venv` made")
    environment = parser.parse_args().environment
    packages = site_packages(environment)
    if packages is None:
        parser.error(f"{environment} is not an environment that holds tamperscope.")
    found = [(size(each), f"{each.name} {each.version}") for each in distributions(path=[str(packages)])]
    for held, name in sorted(found, reverse=True):
        print(f"{held / 1e6:6.1f} MB  {name}")
    print(f"{sum(held for held, _ in found) / 1e6:6.1f} MB  {len(found)} packages")


def size(package: Distribution) -> int:
    """Return how many bytes the files of a package have that are there, compiled ones too."""
    files = {Path(str(file.locate())) for file in package.files or ()}
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    main()
