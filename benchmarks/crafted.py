"""Measure what the search for copies costs on pictures made to be expensive, beside an ordinary photo.

    python benchmarks/crafted.py PHOTO

All pictures have two megapixels, the most that are searched, and are saved without loss. Prints the processor
seconds of each, and how many times those of the photo they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import click
import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from tamperscope.cores import leave_blas_one_thread
from tamperscope.evidence import clones
from tamperscope.images import read_image

Pixels = NDArray[np.uint8]

HEIGHT, WIDTH = 1224, 1632


@click.command(help=__doc__.partition("\n")[0])
@click.argument("photo", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(photo: Path) -> None:
    cv2.setNumThreads(1)
    leave_blas_one_thread()
    pixels = read_image(photo).pixels
    scaled = np.asarray(cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    seconds(scaled)  # The first run also loads libraries.
    ordinary = seconds(scaled)
    print(f"{'the photo':44} {ordinary:6.2f} s")
    for name, picture in crafted(scaled, np.random.default_rng(0)):
        spent = seconds(picture)
        print(f"{name:44} {spent:6.2f} s {spent / ordinary:5.2f} times", flush=True)


def seconds(pixels: Pixels) -> float:
    file = BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    image = read_image(file.getvalue())
    start = time.process_time()
    clones.measure(image)
    return time.process_time() - start


def crafted(photo: Pixels, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    noise = rng.integers(0, 256, photo.shape).astype(np.uint8)
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    waves = (np.sin(across / 3.1) * np.sin(down / 3.3) > 0.3) * 200 + rng.integers(0, 20, (HEIGHT, WIDTH))
    half, quarter = photo[:, : WIDTH // 2], photo[: HEIGHT // 2, : WIDTH // 2]
    yield "noise", noise
    yield "noise, one patch of 24 pixels 2000 times", with_patches(noise, 24, 2000, rng, one=True)
    yield "the photo, one patch of 40 pixels 300 times", with_patches(photo, 40, 300, rng, one=True)
    yield "the photo, 500 patches of 48 pixels", with_patches(photo, 48, 500, rng)
    yield "the photo, 3000 patches of 24 pixels", with_patches(photo, 24, 3000, rng)
    for side in (37, 128, 300):
        copies = -(-HEIGHT // side), -(-WIDTH // side), 1
        yield f"tiles of {side} pixels", np.tile(noise[:side, :side], copies)[:HEIGHT, :WIDTH]
    yield "dots with noise", np.repeat(waves[..., None], 3, 2).astype(np.uint8)
    yield "one half of the photo twice", np.hstack([half, half])
    yield "one half of the photo, mirrored", np.hstack([half, half[:, ::-1]])
    yield "one quarter of the photo four times", np.tile(quarter, (2, 2, 1))


def with_patches(
    picture: Pixels, side: int, count: int, rng: np.random.Generator, *, one: bool = False
) -> Pixels:
    """Copy square patches, or the same one, to random places."""
    result = picture.copy()
    for _ in range(count):
        top, left = (100, 100) if one else rng.integers(0, (HEIGHT - side, WIDTH - side))
        y, x = rng.integers(0, (HEIGHT - side, WIDTH - side))
        result[y : y + side, x : x + side] = picture[top : top + side, left : left + side]
    return result


if __name__ == "__main__":
    main()
