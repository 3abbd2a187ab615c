"""How fast a job is worked off, and that no image is lost or counted twice.

    tamperscope serve &                                   # or with --redis, and workers on other machines
    python benchmarks/jobs.py --images 200

Kill and start workers meanwhile as you like. Each image is another one, so none is answered from the store.
"""

from __future__ import annotations

import itertools
import time
from io import BytesIO

import click
import numpy as np
import PIL.Image

from tamperscope.client import Client


@click.command()
@click.option("--url", default="http://127.0.0.1:5000", show_default=True)
@click.option("--key", envvar="TAMPERSCOPE_KEY", help="API key, where the server asks for one.")
@click.option("--images", default=200, show_default=True)
@click.option("--size", default=(512, 512), nargs=2, show_default=True, help="Width and height.")
@click.option("--seed", default=None, type=int, help="Another seed makes other images.")
def main(url: str, key: str | None, images: int, size: tuple[int, int], seed: int | None) -> None:
    """Send a job to a running server and follow it to its end."""
    client = Client(url, key)
    rng = np.random.default_rng(seed)
    files = [photo(rng, *size) for _ in range(images)]
    begun = time.monotonic()
    job = client.submit(files)
    click.echo(
        f"{images} images, {sum(map(len, files)) / 1e6:.1f} MB: taken in {time.monotonic() - begun:.2f} s"
    )

    results, arrivals = [], []
    for result in client.results(job.id, poll=0.5):
        results.append(result)
        arrivals.append(time.monotonic() - begun)
    ended = client.job(job.id)
    click.echo(f"{ended.state}: {ended.images.done} done, {ended.images.failed} failed")
    rate = images / arrivals[-1]
    click.echo(
        f"first result after {arrivals[0]:.1f} s, last after {arrivals[-1]:.1f} s: {rate:.2f} a second"
    )
    pauses = max((later - earlier for earlier, later in itertools.pairwise(arrivals)), default=0.0)
    click.echo(f"longest time without a result {pauses:.1f} s")

    numbers = [result.number for result in results]
    analyses = {result.analysis.id for result in results if result.analysis}
    whole = sorted(numbers) == list(range(images)) and len(analyses) == ended.images.done
    click.echo("every image once" if whole else "IMAGES ARE MISSING OR COUNTED TWICE")
    raise SystemExit(not whole)


def photo(rng: np.random.Generator, width: int, height: int) -> bytes:
    """A JPEG of smooth shapes and some noise."""
    coarse = rng.integers(20, 236, (6, 8, 3), dtype=np.uint8)
    smooth = PIL.Image.fromarray(coarse).resize((width, height), PIL.Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth, np.float32) + rng.normal(0, 4, (height, width, 3))
    file = BytesIO()
    PIL.Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()


if __name__ == "__main__":
    main()
