"""`tamperscope analyze`."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tamperscope.case import NO_CASE, CaseDetails
from tamperscope.commands.options import (
    case_options,
    fail_on_option,
    message_options,
    model_option,
    plain_option,
    settings_options,
)
from tamperscope.commands.output import (
    FINDING,
    UNREADABLE,
    VERBOSE,
    complain,
    counted,
    shows_progress,
    table,
    tell,
)
from tamperscope.errors import ImageError
from tamperscope.languages import speaking
from tamperscope.report import Report, all_notes, printed_score, printed_type
from tamperscope.settings import Settings

if TYPE_CHECKING:
    from tamperscope.documents.signatures import SigningKey
    from tamperscope.evidence.metadata import Location
    from tamperscope.images import Image


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE..."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per image, each on its own line."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the mask, overlay and heatmap as PNG and the report as JSON into this folder.",
)
@click.option(
    "--report",
    "report_path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write a report to share, with all evidence. For one image: a file that ends in .html or .pdf. "
    "Otherwise: a folder that gets both files for each image.",
)
@case_options
@model_option
@settings_options({"c2pa_trust", "device", "language", "signing_key"})
@click.option(
    "--location",
    is_flag=True,
    help="Also say where the file states that the picture was taken. Reports never do.",
)
@fail_on_option
@plain_option
@message_options
@click.pass_context
def analyze(
    ctx: click.Context,
    /,
    files: Sequence[Path],
    as_json: bool,
    out: Path | None,
    report_path: Path | None,
    model: Path | None,
    location: bool,
    fail_on: Sequence[str],
    case: CaseDetails,
    **options: str | None,
) -> None:
    """Detect whether, where and how each FILE was altered; - reads one image from stdin.

    \b
    Example:
      tamperscope analyze photo.jpg other.png --out findings
      tamperscope analyze photo.jpg --report report.pdf --title "The flood" --case 2026/7
      tamperscope analyze *.jpg --report reports --title "Evidence {file}"
      tamperscope analyze incoming/*.jpg --json --fail-on manipulated

    A file that cannot be read is named on stderr. The others are still analysed, and the exit code is 3.
    """
    if report_path:
        _check_report(report_path, len(files))
    if case != NO_CASE and not (report_path or as_json or out):
        raise click.UsageError("--title and the like need --report, --out or --json, which hold them.")
    if files.count(_STDIN) > 1:
        raise click.BadParameter("- may be given once.", param_hint="FILE")
    from tamperscope.cores import leave_blas_one_thread
    from tamperscope.detector import Detector
    from tamperscope.documents.signatures import SigningKey
    from tamperscope.evidence import metadata
    from tamperscope.images import read_image

    settings = Settings.read(os.environ, options)
    # Before the analysis, so that a key that cannot be used costs no time.
    signing_key = SigningKey.read(settings.signing_key) if settings.signing_key else None
    leave_blas_one_thread()
    detector = Detector.load(model or settings.model, settings.detector_options)
    findings: list[_Finding] = []
    written: Counter[Path] = Counter()
    with click.progressbar(
        files, label="Analysing", file=sys.stderr, hidden=len(files) < 2 or not shows_progress()
    ) as progress:
        for file, stem in zip(progress, _distinct_stems(files), strict=True):
            began = time.monotonic()
            try:
                image = read_image(_source(file, settings.limits.bytes), settings.limits)
                report = detector.analyze(image, all_evidence=report_path is not None)
                taken_at = metadata.location(image) if location else None
                finding = _Finding(file, report, taken_at, location, _titled(case, file))
            except (ImageError, OSError) as error:
                complain(f"{_as_given(file)}: {_sentence(file, error)}")
                continue
            tell(f"{file}: analysed in {time.monotonic() - began:.1f} s", VERBOSE)
            findings.append(finding)
            if out:
                written[out] += _write(out, stem, finding, image, signing_key)
            if report_path:
                written[report_path] += _write_report(
                    report_path, stem, finding, image, signing_key, settings.language
                )
            if as_json:
                click.echo(json.dumps(finding.to_json()))
    if not as_json and findings:
        _print_table(findings)
    for place, count in written.items():
        tell(f"{counted(count, 'file')} in {place}" if place.is_dir() else f"The report is in {place}")
    if report_path and findings and case.region_notes:
        _tell_lost_notes(case, findings)
    if len(findings) < len(files):
        ctx.exit(UNREADABLE)
    if any(finding.report.verdict in fail_on for finding in findings):
        ctx.exit(FINDING)


_STDIN = Path("-")
_REPORT_SUFFIXES = (".html", ".pdf")


@dataclass(frozen=True)
class _Finding:
    file: Path
    report: Report
    location: Location | None
    """Where the picture was taken, as the file states; None if it does not, or if no one asked."""
    located: bool
    """Whether someone asked for the location."""
    case: CaseDetails

    def to_json(self) -> dict[str, Any]:
        location = {"location": self.location and asdict(self.location)} if self.located else {}
        case = {} if self.case == NO_CASE else {"case": self.case.to_json()}
        return {"file": str(self.file), **case, **location, **self.report.to_json()}


def _check_report(path: Path, images: int) -> None:
    """Raise `click.BadParameter` unless a report can have this name; nothing has been written yet."""
    suffix = path.suffix.lower()
    if suffix in _REPORT_SUFFIXES and images > 1:
        raise click.BadParameter("for several images, name a folder.", param_hint="--report")
    if suffix and suffix not in _REPORT_SUFFIXES and not path.is_dir():
        raise click.BadParameter(
            f"a report is .html or .pdf, not {suffix}; a name without a suffix is a folder.",
            param_hint="--report",
        )


def _tell_lost_notes(case: CaseDetails, findings: Sequence[_Finding]) -> None:
    """Name the regions that have a note and that no image has, so that no report shows the note."""
    from tamperscope.documents.findings import named_regions

    labels = {each.label for finding in findings for each in named_regions(finding.report.record)}
    for label in case.region_notes:
        if label not in labels:
            complain(f"No image has a marked region {label}, so its note is in no report.")


def _titled(case: CaseDetails, file: Path) -> CaseDetails:
    """Put the file's name into the title where the caller wants it; otherwise no report names the file."""
    return replace(case, title=case.title.replace("{file}", file.name))


def _source(file: Path, limit: int) -> Path | bytes:
    # One byte more than allowed is enough to see that there are too many.
    return sys.stdin.buffer.read(limit + 1) if file == _STDIN else file


def _distinct_stems(files: Sequence[Path]) -> list[str]:
    """Return a distinct base name for the results of each file; a repeated stem gets a number appended.

    Names that differ in case only are one file on Windows and macOS, and so they count as repeated.
    """
    stems: list[str] = []
    # The last number appended to each, so that many equal names do not take quadratic time.
    numbers: dict[str, int] = {}
    for file in files:
        first = stem = "stdin" if file == _STDIN else file.stem
        while stem.casefold() in numbers:
            numbers[first.casefold()] += 1
            stem = f"{first}-{numbers[first.casefold()]}"
        numbers[stem.casefold()] = 1
        stems.append(stem)
    return stems


def _write(folder: Path, stem: str, finding: _Finding, image: Image, key: SigningKey | None) -> int:
    """Return the number of files written."""
    from tamperscope.images import rendering

    report = finding.report
    pictures = {
        "mask": rendering.mask_image(report.mask),
        "overlay": rendering.overlay(image.pixels, report.mask),
        "heatmap": rendering.heatmap(report.heatmap),
    }
    with _explained_writing(folder, "--out"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            (folder / f"{stem}-{name}.png").write_bytes(rendering.encode_png(picture))
        document = json.dumps(finding.to_json(), indent=2) + "\n"
        (folder / f"{stem}.json").write_bytes(_signed(document.encode(), finding, key))
    return len(pictures) + 1


def _write_report(
    path: Path, stem: str, finding: _Finding, image: Image, key: SigningKey | None, language: str
) -> int:
    """Write the format that the suffix of `path` names, or both formats into the folder `path`.

    Return the number of files written.

    The reports do not contain the image's file name: reports are shared, and a file name can reveal its
    owner.
    """
    from tamperscope.documents import ReportDocument, render_html, render_pdf

    with speaking(language):
        document = ReportDocument.of(
            finding.report,
            image.pixels,
            made_at=datetime.now(UTC),
            case=finding.case,
            signer=key.description if key else "",
        )
    single = path.suffix.lower() in _REPORT_SUFFIXES
    targets = [path] if single else [path / f"{stem}{suffix}" for suffix in _REPORT_SUFFIXES]
    with _explained_writing(path, "--report"):
        (path.parent if single else path).mkdir(parents=True, exist_ok=True)
        for target in targets:
            is_pdf = target.suffix.lower() == ".pdf"
            data = render_pdf(document) if is_pdf else render_html(document).encode()
            target.write_bytes(_signed(data, finding, key))
    return len(targets)


def _signed(report: bytes, finding: _Finding, key: SigningKey | None) -> bytes:
    if key is None:
        return report
    return key.sign(report, image_sha256=finding.report.image.sha256, at=datetime.now(UTC))


@contextmanager
def _explained_writing(path: Path, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}.", param_hint=option) from None


def _print_table(findings: Sequence[_Finding]) -> None:
    located = findings[0].located
    table(
        ("File", "Verdict", "Score", "Type", "Area", "Origin", *(("Location",) if located else ()), "Notes"),
        [
            (
                str(finding.file),
                finding.report.verdict.value,
                printed_score(finding.report.score),
                printed_type(finding.report.type, finding.report.verdict, finding.report.origin.rule),
                f"{finding.report.mask.mean():.1%}",
                finding.report.origin.headline if finding.report.origin.claims else "",
                *((str(finding.location or ""),) if located else ()),
                "; ".join(all_notes(finding.report)),
            )
            for finding in findings
        ],
        path_first=True,
    )


_ADDRESS = re.compile(r"^([a-z][a-z0-9]+:)/", re.IGNORECASE)
"""The start of an address as a path writes it, with one slash of two."""


def _as_given(file: Path) -> str:
    return _ADDRESS.sub(r"\1//", str(file))


def _sentence(file: Path, error: Exception) -> str:
    if isinstance(error, IsADirectoryError):
        return f"This is a folder. Analyse it with: tamperscope scan {file} --out results.jsonl"
    if isinstance(error, FileNotFoundError) and _ADDRESS.match(str(file)):
        return "Web addresses are not fetched. Download the image and give its file."
    if isinstance(error, OSError):
        return f"{(error.strerror or 'it cannot be read').capitalize()}."
    return str(error)
