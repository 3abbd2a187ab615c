"""`tamperscope scan`."""

from __future__ import annotations

import asyncio
import glob
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tamperscope.commands.options import (
    fail_on_option,
    message_options,
    model_option,
    plain_option,
    settings_options,
)
from tamperscope.commands.output import (
    FINDING,
    INTERRUPTED,
    UNREADABLE,
    VERBOSE,
    complain,
    counted,
    shows_progress,
    table,
    tell,
    verbosity,
)
from tamperscope.errors import ScanError
from tamperscope.origin import OriginKind
from tamperscope.report import CPU, Verdict, printed_score, printed_type
from tamperscope.settings import Settings

if TYPE_CHECKING:
    from tamperscope.bundle import Bundle
    from tamperscope.scanning.cluster import ClusterPool
    from tamperscope.scanning.examination import Examination
    from tamperscope.scanning.files import Found, Skipped
    from tamperscope.scanning.journal import Journal, Tally
    from tamperscope.scanning.local import LocalPool
    from tamperscope.scanning.scan import Watch

_SHOWN = 10
_NAMED = 5
_BLOCK = 2**16
# Each process has its own copy of the networks in the memory of the accelerator.
_WORKERS_ON_ACCELERATOR = 4


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File for the results, one row per image: .parquet or .jsonl.",
)
@click.option(
    "--masks",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each image's mask into this folder as <sha256 of the file>.png.",
)
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an HTML page that lists the most suspicious images first.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Skip files and folders whose name or full path matches. May be repeated.",
)
@click.option(
    "-0", "--null", is_flag=True, help="Names on stdin end with a null byte, as written by find -print0."
)
@model_option
@settings_options(
    {"max_bytes", "max_pixels", "pixel_budget", "precision", "device", "evidence", "c2pa_trust"}
)
@click.option(
    "--all-evidence", is_flag=True, help="Make every measurement. Slower; the score stays the same."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Images analysed at the same time.  [default: one per core; at most 4 on an accelerator]",
)
@click.option(
    "--cluster",
    metavar="auto|ADDRESS",
    help="Analyse on a Ray cluster: the one this machine belongs to, or the one at HOST:PORT.",
)
@fail_on_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@plain_option
@message_options
@click.pass_context
def scan(
    ctx: click.Context,
    /,
    paths: Sequence[str],
    out: Path,
    masks: Path | None,
    summary: Path | None,
    exclude: Sequence[str],
    null: bool,
    model: Path | None,
    all_evidence: bool,
    workers: int | None,
    cluster: str | None,
    fail_on: Sequence[str],
    as_json: bool,
    **options: str | None,
) -> None:
    """Analyse every image in folders and object stores.

    PATH is a file, a folder (searched recursively), a quoted pattern, a URL (s3://, gs://, az://; needs the
    extra `cloud`), or - for a list of files on stdin. In folders, images are found by their names and by
    their first bytes, in object stores by their names; other files are counted, and named with -v. Identical
    files are analysed once. The results are one table in OUT. To continue a scan that was stopped or killed,
    run the same command again. Its progress is stored next to OUT, in a file whose name ends in .journal.

    \b
    Example:
      tamperscope scan photos --out results.parquet --summary summary.html
      tamperscope scan photos --exclude thumbnails --exclude '*.gif' --out results.parquet
      find /archive -newer last -print0 | tamperscope scan -0 - --out new.jsonl --fail-on manipulated
      tamperscope scan s3://bucket/uploads --out results.parquet --cluster auto

    For an image that cannot be read or analysed, the column `error` gives the reason, and the exit code is 3.
    Otherwise the exit code is 1 if an image has a verdict that --fail-on names, and 0 if none has.
    """
    from tamperscope.bundle import Bundle
    from tamperscope.inference.devices import choose
    from tamperscope.scanning.examination import Examination
    from tamperscope.scanning.files import Exclusion, Skipped, find, printable
    from tamperscope.scanning.results import check_output, write_results
    from tamperscope.scanning.summary import write_summary

    check_output(out)
    for path in paths:
        _check_exists(path)
    settings = Settings.read(os.environ, options)
    if cluster and settings.device != CPU:
        raise click.UsageError("The machines of a cluster compute on their CPUs; leave out --device.")
    bundle = Bundle.load(model or settings.model)
    # Each process would choose for itself, and only one of them would say why it cannot.
    detecting = replace(settings.detector_options, device=choose(settings.device).name)
    examination = Examination(detecting, all_evidence, masks=masks is not None)
    # Asked here: files are listed in a thread, which has no command.
    named = verbosity() >= VERBOSE
    skipped = Skipped((lambda path: complain(f"{printable(path)}: not an image")) if named else None)
    # Without this, masks would be scanned as images and get masks of their own, without end.
    exclusion = Exclusion(tuple(exclude), (str(masks),) if masks else ())
    listed: Iterable[str] = _listed("\0" if null else "\n") if "-" in paths else ()
    found = find([path for path in paths if path != "-"], listed, skipped, exclusion)
    with _journal(out, examination.identity(bundle)) as journal:
        for folder in (masks, summary and summary.parent):
            if folder:
                _make_folder(folder)
        open_pool = partial(_pool, cluster, workers, bundle, examination, settings.cache)
        rate = _work(ctx, journal, found, open_pool, masks)
        tally = journal.tally()
        if not tally.images:
            journal.discard()
            raise ScanError(f"No image was found in {', '.join(paths)}.")
        write_results(journal.rows(), bundle.identity, out)
        if summary:
            write_summary(journal, bundle.identity, settings.limits, datetime.now(UTC), summary)
        _print_summary(journal, tally, skipped, rate, out, as_json=as_json)
        if summary:
            tell(f"The page is in {summary}")
        if masks:
            tell(f"The masks are in {masks}")
        journal.discard()
    if tally.errors:
        ctx.exit(UNREADABLE)
    if any(tally.verdicts.get(verdict) for verdict in fail_on):
        ctx.exit(FINDING)


def _check_exists(path: str) -> None:
    """Raise `click.BadParameter` for a file or folder that is not there; nothing has been written yet."""
    from tamperscope.scanning.files import is_url

    # A pattern may match nothing, and a URL is listed by its store.
    if path != "-" and not is_url(path) and not glob.has_magic(path) and not Path(path).exists():
        raise click.BadParameter(f"there is no {path}.", param_hint="PATH")


def _journal(out: Path, about: dict[str, Any]) -> Journal:
    from tamperscope.scanning.journal import Journal

    path = out.with_name(f"{out.name}.journal")
    if out.exists() and not path.exists():
        raise ScanError(f"{out} already exists; delete it to scan again, or choose another name.")
    _make_folder(out.parent)
    resumed = path.exists()
    journal = Journal.open(path, about)
    if journal.started_over:
        tell("tamperscope or its libraries changed since this scan began: examining its files again.")
    elif resumed:
        done, _ = journal.counts()
        tell(f"Continuing an unfinished scan: {counted(done, 'file')} done.")
    return journal


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScanError(f"{folder} cannot be created: {error.strerror}.") from None


def _pool(
    cluster: str | None, workers: int | None, bundle: Bundle, examination: Examination, cache: Path | None
) -> ClusterPool | LocalPool:
    from tamperscope.cores import cores
    from tamperscope.scanning.examination import open_examiner
    from tamperscope.scanning.local import LocalPool

    if cluster is None:
        load = partial(open_examiner, bundle.path, examination, cache)
        usual = cores() if examination.options.device == CPU else min(cores(), _WORKERS_ON_ACCELERATOR)
        return LocalPool(load, workers or usual, examination.options.limits.bytes)
    from tamperscope.scanning.cluster import ClusterPool, ShippedBundle

    return ClusterPool(
        cluster, ShippedBundle.pack(bundle, examination), examination.options.limits.bytes, workers
    )


def _work(
    ctx: click.Context,
    journal: Journal,
    found: Iterator[Found],
    open_pool: Callable[[], ClusterPool | LocalPool],
    masks: Path | None,
) -> float:
    """Run the scan, and return its rate in files per second."""
    from tamperscope.scanning.scan import scan as examine_all

    async def work(watch: Watch) -> None:
        async with open_pool() as pool:
            await examine_all(found, pool, journal, masks=masks, watch=watch)

    done_before, _ = journal.counts()
    began = time.monotonic()
    try:
        with _progress(done_before) as watch:
            asyncio.run(work(watch))
    except KeyboardInterrupt:
        complain("Stopped. Run the same command again to continue.")
        ctx.exit(INTERRUPTED)
    done, _ = journal.counts()
    return (done - done_before) / (time.monotonic() - began)


def _listed(end: str) -> Iterator[str]:
    """Yield the names on stdin as they arrive; each name ends with `end`."""
    # Without the buffer. Python ends by closing it, and aborts if a thread still waits in it.
    stdin = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    left = b""
    while block := stdin.read(_BLOCK):
        *lines, left = (left + block).split(end.encode())
        yield from (os.fsdecode(line) for name in lines if (line := name.rstrip(b"\r")))
    if left:
        yield os.fsdecode(left)


@contextmanager
def _progress(done_before: int) -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} images/s" if task.speed else "")

    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not shows_progress()) as progress:
        bar = progress.add_task("Listing", total=None, completed=done_before)

        def watch(done: int, total: int, all_listed: bool) -> None:
            # The remaining time can be estimated only once every file is listed.
            description = "Analysing" if all_listed else "Listing, analysing"
            progress.update(bar, completed=done, total=total if all_listed else None, description=description)

        yield watch


def _print_summary(
    journal: Journal, tally: Tally, skipped: Skipped, rate: float, out: Path, *, as_json: bool
) -> None:
    from tamperscope.scanning.files import printable

    others = tally.no_images + skipped.count
    if as_json:
        click.echo(
            json.dumps(
                {
                    "out": str(out),
                    "images": tally.images,
                    **{verdict.value: tally.verdicts.get(verdict.value, 0) for verdict in Verdict},
                    "errors": tally.errors,
                    "duplicates": tally.duplicates,
                    "other_files": others,
                    "images_per_second": round(rate, 2),
                }
            )
        )
    else:
        table(
            ("File", "Verdict", "Score", "Type", "Origin"),
            [
                (
                    printable(file.path),
                    row.verdict,
                    printed_score(row.score),
                    printed_type(row.type, row.verdict, row.origin_rule),
                    row.origin_headline or "" if row.origin != OriginKind.UNKNOWN else "",
                )
                for file in journal.most_suspicious(_SHOWN)
                if (row := file.row).verdict and row.type and row.score is not None
            ],
            path_first=True,
        )
        verdicts = ", ".join(
            f"{tally.verdicts.get(verdict.value, 0):,} {verdict.value}" for verdict in Verdict
        )
        tell(
            f"{out} has {counted(tally.images, 'image')}: {verdicts}, "
            f"{tally.errors:,} that could not be analysed. Duplicates among them: {tally.duplicates:,}. "
            f"Other files, skipped: {others:,}{_named(skipped.by_suffix)}. {rate:.1f} images/s."
        )
    _complain_about_failures(journal, tally.errors)


def _named(suffixes: Counter[str]) -> str:
    """Return the most frequent suffixes of the files that are not images: ` (7 .txt, 2 .mp4)`."""
    shown = ", ".join(f"{number:,} {suffix}" for suffix, number in suffixes.most_common(_NAMED))
    return f" ({shown}{', ...' if len(suffixes) > _NAMED else ''})" if shown else ""


def _complain_about_failures(journal: Journal, errors: int) -> None:
    """Name the files that could not be analysed: all of them if the caller asked for more, else the first."""
    from tamperscope.scanning.files import printable

    shown = errors if verbosity() >= VERBOSE else _NAMED
    for file in journal.failures(shown):
        complain(f"{printable(file.path)}: {file.row.error}")
    if errors > shown:
        complain(f"and {errors - shown:,} more: see the column `error`, or repeat the scan with -v.")
