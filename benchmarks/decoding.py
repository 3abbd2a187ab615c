"""Print how long decoding takes, by format: native code, which a deadline cannot end.

    python benchmarks/decoding.py --megapixels 10

The pictures are noise, which costs a decoder most per pixel. From the time, the program computes that of the
largest such file within the default limits: as many pixels as they allow, or as fit into their bytes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import click
import numpy as np
import PIL.Image
import pillow_heif

from tamperscope.images import ImageLimits, read_image

pillow_heif.register_heif_opener()

_FILES: Mapping[str, Mapping[str, Any]] = {
    "JPEG": {"format": "JPEG", "quality": 50},
    "JPEG, progressive": {"format": "JPEG", "quality": 50, "progressive": True},
    "PNG": {"format": "PNG", "compress_level": 1},
    "TIFF, deflate": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    "WebP": {"format": "WEBP", "quality": 50, "method": 0},
    "WebP, lossless": {"format": "WEBP", "lossless": True, "quality": 0, "method": 0},
    "GIF": {"format": "GIF"},
    "HEIC": {"format": "HEIF", "quality": 30},
    "AVIF": {"format": "AVIF", "quality": 30, "speed": 10},
    "AVIF, high quality": {"format": "AVIF", "quality": 90, "speed": 10},
}


@click.command()
@click.option("--megapixels", default=10, show_default=True)
def main(megapixels: int) -> None:
    """Print how long decoding takes, by format."""
    limits = ImageLimits()
    unlimited = ImageLimits(bytes=2**31)
    side = round((1e6 * megapixels) ** 0.5)
    noise = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))
    click.echo("| file | MB | s | most megapixels | s for those |\n|---|---|---|---|---|")
    for name, options in _FILES.items():
        file = BytesIO()
        noise.save(file, **options)
        data = file.getvalue()
        begun = time.monotonic()
        read_image(data, unlimited)
        seconds = time.monotonic() - begun
        most = min(limits.pixels, limits.bytes / len(data) * side**2)
        click.echo(
            f"| {name} | {len(data) / 1e6:.1f} | {seconds:.2f} | {most / 1e6:.0f} "
            f"| {seconds * most / side**2:.1f} |"
        )


if __name__ == "__main__":
    main()
