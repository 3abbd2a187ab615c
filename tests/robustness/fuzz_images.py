"""A coverage-guided fuzz target (libFuzzer through atheris): any bytes give an image or an `ImageError`.

python tests/robustness/fuzz_images.py -max_total_time=120
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tamperscope.images", "PIL"]):
    from tamperscope.errors import ImageError
    from tamperscope.images import ImageLimits, read_image

sys.path.insert(0, str(Path(__file__).parents[1]))
import samples

# Small images find as many faults as large ones, and sooner.
LIMITS = ImageLimits(bytes=2**20, pixels=2**20)


def read(data: bytes) -> None:
    try:
        image = read_image(data, LIMITS)
    except ImageError:
        return
    assert image.pixels.shape[2] == 3
    assert min(image.pixels.shape[:2]) >= LIMITS.min_side
    if image.jpeg:
        assert len(image.jpeg.coefficients) == len(image.jpeg.quantisation_tables)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as seeds:
        for number, data in enumerate(samples.every_format().values()):
            Path(seeds, str(number)).write_bytes(data)
        atheris.Setup([*sys.argv, "-max_len=20000", "-timeout=20", seeds], read)
        atheris.Fuzz()
