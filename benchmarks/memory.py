"""Watch the memory of one server under mixed traffic, and print its slope.

    python benchmarks/memory.py --minutes 120 --rate 0.5

This starts a server with the default model and sends it what front ends send: images of many sizes to every
kind of analysis, jobs, reports, lists, deletions and broken files. Each minute it prints the resident memory,
and the lowest since the minute before, which is what stays between images. At the end it prints the slope of
both, with 95 % intervals. It needs Linux, where /proc shows the memory of a process.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path

import click
import httpx2
import numpy as np
from numpy.typing import NDArray

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

import services
from jobs import picture

_RESAMPLES = 2000
_BLOCK_MINUTES = 5
_PAUSE_SECONDS = 30
_KEPT = 50
"""Analyses that stay stored; older ones are deleted, as a retention does."""


@click.command()
@click.option("--minutes", default=120, show_default=True)
@click.option("--settling", default=10, show_default=True, help="First minutes that the slope leaves out.")
@click.option("--rate", default=0.5, show_default=True, help="Requests per second.")
@click.option("--longest", default=2000, show_default=True, help="Longest side of an image, in pixels.")
@click.option("--seed", default=0, show_default=True)
def main(minutes: int, settling: int, rate: float, longest: int, seed: int) -> None:
    """Watch a server for some time."""
    if minutes < settling + 2 * _BLOCK_MINUTES:
        raise click.UsageError(f"--minutes must be at least --settling + {2 * _BLOCK_MINUTES}.")
    with (
        services.tamperscope("--log-level", "error") as (url, server),
        httpx2.Client(base_url=url, timeout=300) as client,
    ):
        _watch(_Traffic(client, longest, seed), server.pid, minutes, settling, rate)


def _watch(traffic: _Traffic, process: int, minutes: int, settling: int, rate: float) -> None:
    rng = np.random.default_rng(0)
    click.echo(
        "| minute | requests | memory MB | lowest MB | threads | open files |\n|---|---|---|---|---|---|"
    )
    begun = time.monotonic()
    memories: list[float] = []
    lowest: list[float] = []
    since: list[float] = []
    due = 0.0
    while len(memories) < minutes:
        now = time.monotonic() - begun
        memory, threads, files = _state(process)
        since.append(memory)
        if now >= 60 * (len(memories) + 1):
            memories.append(memory)
            lowest.append(min(since))
            since.clear()
            done = traffic.statuses.total()
            click.echo(
                f"| {len(memories)} | {done} | {memory:.0f} | {lowest[-1]:.0f} | {threads} | {files} |"
            )
        elif now < due:
            time.sleep(min(due - now, 1.0))
        else:
            traffic.send()
            # A server that falls behind is not sent a burst afterwards.
            due = max(due, now - _PAUSE_SECONDS) + rng.exponential(1 / rate)
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(traffic.statuses.items()))
    click.echo(f"\n{traffic.statuses.total()} requests: {answers}")
    for what, values in (("memory", memories), ("lowest", lowest)):
        slope, low, high = slope_with_interval(np.array(values[settling:]), np.random.default_rng(0))
        click.echo(
            f"slope of the {what} from minute {settling + 1} to {minutes}: {60 * slope:+.2f} MB per hour, "
            f"95 % interval {60 * low:+.2f} to {60 * high:+.2f}"
        )
    if any(status >= 500 for status in traffic.statuses):
        raise click.ClickException("The server failed to answer.")


class _Traffic:
    """Sends one request of a random kind at a time, and counts the answers."""

    def __init__(self, client: httpx2.Client, longest: int, seed: int) -> None:
        self.statuses: Counter[int] = Counter()
        self._client = client
        self._longest = longest
        self._rng = np.random.default_rng(seed)
        self._stored: list[str] = []
        self._kinds = (
            (0.25, self._classify),
            (0.15, self._segment),
            (0.20, self._analyze),
            (0.05, self._job),
            (0.10, self._broken),
            (0.15, self._report),
            (0.10, self._look),
        )

    def send(self) -> None:
        """Send one request, or the few that belong to one use."""
        shares = [share for share, _ in self._kinds]
        self._kinds[self._rng.choice(len(self._kinds), p=shares)][1]()

    def _classify(self) -> None:
        self._post("/classify", self._image())

    def _segment(self) -> None:
        self._post("/segment", self._image())

    def _analyze(self) -> None:
        keep = self._rng.choice(["true", "false"])
        answer = self._post("/v1/analyses", self._image(), {"keep": str(keep)})
        if answer.is_success:
            self._stored.append(answer.json()["id"])
        while len(self._stored) > _KEPT:
            self._count(self._client.delete(f"/v1/analyses/{self._stored.pop(0)}"))

    def _job(self) -> None:
        files = [("image", (f"{number}.jpg", self._image())) for number in range(3)]
        answer = self._count(self._client.post("/v1/jobs", files=files))
        if answer.is_success:
            self._count(self._client.get(f"/v1/jobs/{answer.json()['id']}/results"))

    def _broken(self) -> None:
        data = self._image()
        self._post("/v1/analyses", data[: self._rng.integers(1, len(data))])

    def _report(self) -> None:
        if self._stored:
            kinds = ["", "/report.html", "/report.pdf", "/mask.png", "/heatmap.png", "/overlay.png"]
            id = self._rng.choice(self._stored)
            self._count(self._client.get(f"/v1/analyses/{id}{self._rng.choice(kinds)}"))

    def _look(self) -> None:
        path = self._rng.choice(["/", "/v1/analyses", "/v1/jobs", "/health", "/metrics", "/openapi.json"])
        self._count(self._client.get(str(path)))

    def _post(self, path: str, data: bytes, fields: dict[str, str] | None = None) -> httpx2.Response:
        return self._count(self._client.post(path, files={"image": ("a.jpg", data)}, data=fields))

    def _count(self, answer: httpx2.Response) -> httpx2.Response:
        self.statuses[answer.status_code] += 1
        return answer

    def _image(self) -> bytes:
        # Most images of front ends are small; a few are as large as a camera makes them.
        longest = int(64 * (self._longest / 64) ** self._rng.random())
        return picture(self._rng, longest, max(32, int(longest * self._rng.uniform(0.5, 1))))


def slope_with_interval(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the least-squares slope per step, and its 95 % interval.

    The interval is a moving-block bootstrap of the residuals (Künsch 1989), because successive values depend
    on one another.
    """
    steps = np.arange(len(values))
    slope, level = np.polyfit(steps, values, 1)
    residuals = values - (slope * steps + level)
    starts = rng.integers(
        0, len(values) - _BLOCK_MINUTES + 1, (_RESAMPLES, -(-len(values) // _BLOCK_MINUTES))
    )
    picked = (starts[..., None] + np.arange(_BLOCK_MINUTES)).reshape(_RESAMPLES, -1)[:, : len(values)]
    slopes = np.polyfit(steps, (residuals[picked] + slope * steps + level).T, 1)[0]
    low, high = np.percentile(slopes, [2.5, 97.5])
    return float(slope), float(low), float(high)


def _state(process: int) -> tuple[float, int, int]:
    """Return the resident memory in megabytes, the threads and the open files of a process."""
    text = Path(f"/proc/{process}/status").read_text()
    memory, threads = (int(re.search(rf"{name}:\s+(\d+)", text)[1]) for name in ("VmRSS", "Threads"))
    return memory / 1000, threads, sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


if __name__ == "__main__":
    main()
