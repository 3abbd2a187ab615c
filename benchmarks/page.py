"""Print what the page weighs, and how long a first visitor waits for a first analysis.

    python benchmarks/page.py
    python benchmarks/page.py --language hi --image photo.jpg --times 5

Each visit has a server of its own, with the default model, and an empty cache in Chromium (Debian's package
`chromium`): on this machine, and over a slow line. The times begin when the address is opened, and when the
picture is chosen.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from playwright.sync_api import Browser, sync_playwright

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import services

_SAMPLE = Path(__file__).parents[1] / "docs" / "images" / "sample.jpg"
_PATIENCE_MILLISECONDS = 300_000
_MEGABIT = 1_000_000 // 8
_LINES: Mapping[str, Mapping[str, float] | None] = {
    "this machine": None,
    "1.6 Mbit/s, 150 ms": {
        "latency": 150,
        "downloadThroughput": 1.6 * _MEGABIT,
        "uploadThroughput": 0.75 * _MEGABIT,
    },
}
"""Connections by name, as Chromium's developer tools take them; the slow one is their "slow 4G"."""


@dataclass(frozen=True)
class _Visit:
    files: Mapping[str, tuple[int, int]]
    """Number of files and of bytes that were transferred before a picture was chosen, by kind."""
    ready: float
    """Seconds until pictures can be added."""
    analysed: float
    """Seconds from choosing a picture until its result is shown."""


@click.command()
@click.option(
    "--image", type=click.Path(exists=True, path_type=Path), default=_SAMPLE, help="What is analysed."
)
@click.option("--language", default="en", show_default=True)
@click.option("--times", default=3, show_default=True, help="Visits on each line.")
def main(image: Path, language: str, times: int) -> None:
    """Print what the page weighs, and how long a first visitor waits."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        visits = {line: [_visit(browser, language, image, line) for _ in range(times)] for line in _LINES}
        browser.close()
    click.echo(_weight(next(iter(visits.values()))[0].files))
    click.echo(_times(visits))


def _visit(browser: Browser, language: str, image: Path, line: str) -> _Visit:
    with (
        services.tamperscope("--log-level", "error") as (url, _),
        browser.new_context(locale=language, reduced_motion="reduce") as context,
    ):
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        if conditions := _LINES[line]:
            session = context.new_cdp_session(page)
            session.send("Network.emulateNetworkConditions", {"offline": False, **conditions})
        opened = time.monotonic()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("body[data-ready]")
        ready = time.monotonic() - opened
        page.wait_for_load_state("networkidle")
        transferred = page.evaluate(
            """() => ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
                .map(({ name, transferSize }) => [new URL(name).pathname, transferSize])"""
        )
        chosen = time.monotonic()
        page.set_input_files("#files", image)
        page.wait_for_selector(".stage[data-ready]")
        return _Visit(_by_kind(transferred), ready, time.monotonic() - chosen)


def _by_kind(transferred: list[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    kinds = {".js": "scripts", ".css": "style", ".ttf": "fonts", ".png": "pictures", ".svg": "pictures"}
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for path, length in transferred:
        kind = kinds.get(Path(path).suffix, "page, words and answers")
        count[kind] += 1
        size[kind] += length
    return {kind: (count[kind], size[kind]) for kind in sorted(count)}


def _weight(files: Mapping[str, tuple[int, int]]) -> str:
    rows = [f"| {kind} | {count} | {size / 1000:.0f} |" for kind, (count, size) in files.items()]
    count, size = (sum(each) for each in zip(*files.values(), strict=True))
    return "\n".join(
        (
            "| the page | files | kB |",
            "|---|---|---|",
            *rows,
            f"| together | {count} | {size / 1000:.0f} |",
            "",
        )
    )


def _times(visits: Mapping[str, list[_Visit]]) -> str:
    rows = [
        f"| {line} | {statistics.median(visit.ready for visit in seen):.2f} "
        f"| {statistics.median(visit.analysed for visit in seen):.2f} |"
        for line, seen in visits.items()
    ]
    return "\n".join(
        (
            "| first visit, median | page ready after s | result shown after choosing the picture, s |",
            "|---|---|---|",
            *rows,
        )
    )


if __name__ == "__main__":
    main()
