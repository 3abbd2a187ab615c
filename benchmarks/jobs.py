"""Measure the speed and the cost of jobs, and check that no image is lost or counted twice.

    python benchmarks/jobs.py sizing --data PHOTOS    # starts servers and workers with the real networks
    python benchmarks/jobs.py kill --data PHOTOS      # kills one of two workers in the middle of a job
    python benchmarks/jobs.py follow --images 200     # sends a job to a server that is already running

The first two start their own Redis and PostgreSQL, as the tests do. They need Linux, where /proc shows the
memory and the processor time of other processes. Their clocks start when every process has loaded its
networks.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import click
import numpy as np
import PIL.Image

from tamperscope.client import Client
from tamperscope.scanning.files import Skipped, find

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

import services  # noqa: E402

_WARM_UP = 4
_DATA = click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True, help="Photos."
)


@click.group()
def main() -> None:
    """Measure jobs."""


@main.command()
@_DATA
@click.option("--images", default=24, show_default=True, help="Images of each job.")
def sizing(data: Path, images: int) -> None:
    """Print throughput, processor time and memory of a server alone, with one worker and with two."""
    photos = _photos(data, images + _WARM_UP)
    click.echo("| processes | images/s | CPU s per image | server MB | each worker MB |")
    click.echo("|---|---|---|---|---|")
    for setup in (_Setup(0), _Setup(1), _Setup(2), _Setup(2, threads=1)):
        with _running(setup) as running:
            running.warm_up(photos[:_WARM_UP])
            before = running.cpu_seconds()
            course = _follow(running.client, photos[_WARM_UP:])
            cpu = (running.cpu_seconds() - before) / course.images
            server, *workers = (f"{memory:.0f}" for memory in running.peak_memories())
        each = ", ".join(workers) or "–"
        click.echo(f"| {setup} | {course.rate:.2f} | {cpu:.2f} | {server} | {each} |")
        course.check()
    click.echo(
        f"\nEach row is one job of {images} images, after a warm-up job of {_WARM_UP}. Memory is the peak of "
        "each process. CPU seconds are those of server and workers, without Redis and PostgreSQL."
    )


@main.command()
@_DATA
@click.option("--images", default=12, show_default=True)
def kill(data: Path, images: int) -> None:
    """Kill one of two workers with SIGKILL after a third of a job, and print the results that arrived."""
    photos = _photos(data, images)
    with _running(_Setup(2), "--job-lease", "5") as running:

        def watch(results: int) -> None:
            if results == images // 3:
                running.workers[0].kill()
                click.echo(f"killed a worker after {results} results")

        course = _follow(running.client, photos, watch)
        course.tell()
        click.echo(f"the other worker {'exited' if running.workers[1].poll() is not None else 'is running'}")
    course.check()


@main.command()
@click.option("--url", default="http://127.0.0.1:5000", show_default=True)
@click.option("--key", envvar="TAMPERSCOPE_KEY", help="API key, if the server requires one.")
@click.option("--images", default=200, show_default=True)
@click.option("--size", default=(512, 512), nargs=2, show_default=True, help="Width and height.")
@click.option("--seed", default=None, type=int, help="A different seed makes different images.")
def follow(url: str, key: str | None, images: int, size: tuple[int, int], seed: int | None) -> None:
    """Send a job to a running server and follow it to its end.

    You can kill and start workers in the meantime. The images differ from one another, so none is answered
    from the store.
    """
    rng = np.random.default_rng(seed)
    course = _follow(Client(url, key), [picture(rng, *size) for _ in range(images)])
    course.tell()
    course.check()


@dataclass(frozen=True)
class _Course:
    """The course of a job."""

    images: int
    megabytes: float
    taken: float
    """Seconds until the server accepted the job."""
    arrivals: Sequence[float]
    """Seconds until each result arrived."""
    end: str
    whole: bool
    """Whether every image has exactly one result, and every image that is done its own analysis."""

    @property
    def rate(self) -> float:
        return self.images / self.arrivals[-1]

    def tell(self) -> None:
        pause = max((later - earlier for earlier, later in itertools.pairwise(self.arrivals)), default=0.0)
        click.echo(f"{self.images} images, {self.megabytes:.1f} MB: accepted in {self.taken:.2f} s")
        click.echo(self.end)
        click.echo(
            f"first result after {self.arrivals[0]:.1f} s, last after {self.arrivals[-1]:.1f} s: "
            f"{self.rate:.2f} images/s; longest time without a result {pause:.1f} s"
        )
        if self.whole:
            click.echo("every image has exactly one result")

    def check(self) -> None:
        if not self.whole:
            raise click.ClickException("Images are missing or counted twice.")


def _follow(client: Client, files: list[bytes], watch: Callable[[int], None] = lambda _: None) -> _Course:
    begun = time.monotonic()
    job = client.submit(files)
    taken = time.monotonic() - begun
    results, arrivals = [], []
    for result in client.results(job.id, poll=0.1):
        results.append(result)
        arrivals.append(time.monotonic() - begun)
        watch(len(results))
    ended = client.job(job.id)
    analyses = {result.analysis.id for result in results if result.analysis}
    return _Course(
        images=len(files),
        megabytes=sum(map(len, files)) / 1e6,
        taken=taken,
        arrivals=arrivals,
        end=f"{ended.state}: {ended.images.done} done, {ended.images.failed} failed",
        whole=sorted(result.number for result in results) == list(range(len(files)))
        and len(analyses) == ended.images.done,
    )


@dataclass(frozen=True)
class _Setup:
    """The processes to start; without workers the server processes its jobs itself, with SQLite."""

    workers: int
    threads: int | None = None

    def __str__(self) -> str:
        if not self.workers:
            return "server alone, SQLite"
        each = "" if self.threads is None else f", `--threads {self.threads}`"
        return f"server, {self.workers} worker{'s' * (self.workers > 1)}{each}, Redis, PostgreSQL"


@dataclass(frozen=True)
class _Running:
    client: Client
    server: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]]

    def warm_up(self, photos: list[bytes]) -> None:
        _follow(self.client, photos)

    def cpu_seconds(self) -> float:
        ticks = 0
        for process in self._processes:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_memories(self) -> list[float]:
        statuses = (Path(f"/proc/{process.pid}/status").read_text() for process in self._processes)
        return [int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000 for status in statuses]

    @property
    def _processes(self) -> list[subprocess.Popen[str]]:
        return [self.server, *self.workers]


@contextmanager
def _running(setup: _Setup, *more: str) -> Iterator[_Running]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shared = ["--log-level", "warning", *more]
        if setup.workers:
            database = stack.enter_context(services.postgresql()).format(database="postgres")
            shared += ["--database", database, "--redis", stack.enter_context(services.redis())]
        else:
            shared += ["--database", f"sqlite:///{folder / 'analyses.db'}"]
        if setup.threads:
            shared += ["--threads", str(setup.threads)]

        def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
            command = [sys.executable, "-m", "tamperscope", *arguments, *shared]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(process.stdout.close)
            stack.callback(process.wait)
            stack.callback(process.kill)
            # A process prints its first line when it has loaded its networks.
            return process, process.stdout.readline()

        server, said = start("serve", "--port", "0")
        workers = [start("worker")[0] for _ in range(setup.workers)]
        yield _Running(Client(said.split()[-1]), server, workers)


def _photos(data: Path, count: int) -> list[bytes]:
    found = sorted(file.path for file in find([str(data)], (), Skipped()))
    if len(found) < count:
        raise click.ClickException(f"{data} has {len(found)} photos, but {count} are needed.")
    return [Path(path).read_bytes() for path in found[:: len(found) // count][:count]]


def picture(rng: np.random.Generator, width: int, height: int) -> bytes:
    """Return a JPEG of smooth shapes and some noise."""
    coarse = rng.integers(20, 236, (6, 8, 3), dtype=np.uint8)
    smooth = PIL.Image.fromarray(coarse).resize((width, height), PIL.Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth, np.float32) + rng.normal(0, 4, (height, width, 3))
    file = BytesIO()
    PIL.Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()


if __name__ == "__main__":
    main()
