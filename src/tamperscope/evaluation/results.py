"""The results of a benchmark: a JSON document, tables, and a CSV row per image."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamperscope._version import __version__
from tamperscope.bundle import Bundle
from tamperscope.datasets import Problem
from tamperscope.evaluation.groups import Group, Share
from tamperscope.evaluation.measurement import Case
from tamperscope.evaluation.summary import METRICS, RESAMPLES, SEED, Estimate, RobustnessLevel, Summary
from tamperscope.report import ManipulationType

SCHEMA = 1
"""Version of `results.json`. It increases when readers of the file have to change."""

CONVENTIONS = (
    "An image is forged when the set has a ground-truth mask for it, and authentic otherwise. "
    "Maps are never inverted to fit the ground truth. Metrics are shares, 0 to 1; – means that the set lacks "
    f"the images for a metric. In brackets: 95 % interval, percentile bootstrap, {RESAMPLES:,} resamples "
    f"drawn separately from the forged and the authentic images, seed {SEED}."
)

_CSV_COLUMNS = (
    "set", "kind", "size_band", "format_band", "history", "forged", "type", "found_type", "score", "verdict",
    "area_share", "f1", "shown_f1", "iou", "best_f1", "average_precision", "everything_f1",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A titled table. All cells are text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Results:
    """All results of a benchmark."""

    command: str
    """The command line of the run, with paths reduced to their last part."""
    bundle: Bundle
    summaries: Sequence[Summary]
    groups: Sequence[Group]
    """Wrong verdicts by kind of picture and file."""
    robustness: Sequence[RobustnessLevel]
    """Empty if there was no robustness sweep."""
    problems: Sequence[Problem]
    device: str
    """What ran the networks."""

    def to_json(self) -> dict[str, Any]:
        """Return the results in types that `json.dumps` accepts. NaN becomes None."""
        return {
            "schema": SCHEMA,
            "tamperscope": __version__,
            "command": self.command,
            "bundle": {
                **dataclasses.asdict(self.bundle.identity),
                "threshold": self.bundle.threshold,
                "smallest_region": self.bundle.smallest_region,
            },
            "device": self.device,
            "conventions": {"general": CONVENTIONS, **{metric.name: metric.convention for metric in METRICS}},
            "sets": [_set_json(summary) for summary in self.summaries],
            "groups": [_group_json(group) for group in self.groups],
            "robustness": [_without_nan(dataclasses.asdict(level)) for level in self.robustness],
            "problems": [{"path": str(problem.path), "reason": problem.reason} for problem in self.problems],
        }

    def tables(self, *, intervals: bool) -> list[Table]:
        """Return the tables of metrics, types, groups and robustness.

        With `intervals`, every metric has its 95 % interval; without, only those of the last set do.
        """
        tables = [_metrics(self.summaries, intervals)]
        tables += [_types(summary) for summary in self.summaries[-1:] if summary.types]
        if self.groups:
            tables.append(_groups(self.groups))
        if self.robustness:
            tables.append(_robustness(self.robustness))
        return tables

    def to_markdown(self) -> str:
        """Return the tables as Markdown, in the form used in `docs/measurements/benchmarks.md`."""
        identity, conventions = self.bundle.identity, [metric.convention for metric in METRICS]
        metrics, *others = self.tables(intervals=True)
        # Two rows of counts precede the metrics.
        explained = zip(metrics.rows, ["", "", *conventions], strict=True)
        with_conventions = Table(
            metrics.title,
            (*metrics.columns, "convention"),
            tuple((*row, convention) for row, convention in explained),
        )
        parts = [
            f"Bundle {identity.name} {identity.version} (manifest's SHA-256 `{identity.sha256[:16]}…`), "
            f"mask threshold {self.bundle.threshold:g}, measured with tamperscope {__version__} "
            f"on {self.device}:",
            f"```sh\n{self.command}\n```",
            CONVENTIONS,
            *(_markdown(table) for table in (with_conventions, *others)),
        ]
        if self.problems:
            parts.append(f"{len(self.problems)} images could not be used. `results.json` lists them.")
        return "\n\n".join(parts) + "\n"


def write_results(results: Results, cases: Sequence[Case], folder: Path) -> None:
    """Write `results.json`, `results.md` and `images.csv`.

    Args:
        results: The results of the whole benchmark.
        cases: The images measured without corruption, one row of `images.csv` each.
        folder: An existing folder. Files of these names are overwritten.

    Raises:
        OSError: A file cannot be written.
    """
    document = json.dumps(results.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "results.json").write_text(document + "\n", encoding="utf-8")
    (folder / "results.md").write_text(results.to_markdown(), encoding="utf-8")
    with (folder / "images.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", *_CSV_COLUMNS))
        for sample, measurement in cases:
            writer.writerow([sample.image, *(getattr(measurement, column) for column in _CSV_COLUMNS)])


def _set_json(summary: Summary) -> dict[str, Any]:
    return {
        "set": summary.set,
        "forged": len(summary.images.forged),
        "authentic": len(summary.images.authentic),
        "figures": {
            name: _without_nan(dataclasses.asdict(estimate)) for name, estimate in summary.estimates.items()
        },
        "types": None
        if summary.types is None
        else {
            "confusion": {
                kind.value: dict(zip(ManipulationType, row, strict=True))
                for kind, row in zip(ManipulationType, summary.types.counts, strict=True)
            },
            "recall": _without_nan(dict(zip(ManipulationType, summary.types.recall, strict=True))),
        },
    }


def _metrics(summaries: Sequence[Summary], intervals: bool) -> Table:
    sets = [summary.set for summary in summaries]
    last_only = () if intervals else ("",)
    rows = [
        ("forged images", *(str(len(summary.images.forged)) for summary in summaries), *last_only),
        ("authentic images", *(str(len(summary.images.authentic)) for summary in summaries), *last_only),
    ]
    for metric in METRICS:
        estimates = [summary.estimates[metric.name] for summary in summaries]
        if intervals:
            cells = [f"{_number(estimate.value)} {_interval(estimate)}".strip() for estimate in estimates]
        else:
            cells = [*(_number(estimate.value) for estimate in estimates), _interval(estimates[-1])]
        rows.append((metric.title, *cells))
    columns = ("", *sets) if intervals else ("", *sets, f"95 % interval of {sets[-1]}")
    return Table("Figures", columns, tuple(rows))


def _types(summary: Summary) -> Table:
    assert summary.types
    return Table(
        title="Types: forged images of known type (rows) and the type found (columns)",
        columns=("", *ManipulationType, "recall"),
        rows=tuple(
            (kind.value, *map(str, row), _number(recall))
            for kind, row, recall in zip(
                ManipulationType, summary.types.counts, summary.types.recall, strict=True
            )
        ),
    )


def _group_json(group: Group) -> dict[str, Any]:
    shares = {
        name: {"share": share.value, "low": share.interval[0], "high": share.interval[1], "images": share.of}
        for name, share in vars(group).items()
        if isinstance(share, Share)
    }
    return {
        "dimension": group.dimension,
        "name": group.name,
        **{name: _without_nan(share) for name, share in shares.items()},
        **_without_nan({"calibration_error": group.calibration_error}),
    }


def _groups(groups: Sequence[Group]) -> Table:
    return Table(
        title="Verdicts by kind of picture, size, format and history; in brackets: 95 % interval (Wilson)",
        columns=(
            "by",
            "group",
            "authentic",
            "false alarms",
            "with a mark",
            "forged",
            "detected",
            "missed",
            "inconclusive",
            "calibration error",
        ),
        rows=tuple(
            (
                group.dimension,
                group.name,
                str(group.false_alarms.of),
                _share(group.false_alarms),
                _share(group.marked),
                str(group.detected.of),
                _share(group.detected),
                _share(group.missed),
                _share(group.inconclusive),
                _number(group.calibration_error),
            )
            for group in groups
        ),
    )


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.3f} [{low:.3f}, {high:.3f}]" if share.of else "–"


def _robustness(levels: Sequence[RobustnessLevel]) -> Table:
    clean = levels[0]
    return Table(
        title=f"Robustness: {clean.forged} forged and {clean.authentic} authentic images, evenly selected; "
        "changes are relative to the same images uncorrupted",
        columns=("corruption", "forged", "authentic", "F1", "F1 change", "image AUC", "AUC change"),
        rows=tuple(
            (
                level.corruption,
                str(level.forged),
                str(level.authentic),
                _number(level.f1),
                _change(level.f1_change),
                _number(level.auc),
                _change(level.auc_change),
            )
            for level in levels
        ),
    )


def _markdown(table: Table) -> str:
    lines = [table.columns, ("---",) * len(table.columns), *table.rows]
    return "\n".join([f"**{table.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _interval(estimate: Estimate) -> str:
    return "" if math.isnan(estimate.low) else f"[{estimate.low:.3f}, {estimate.high:.3f}]"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _change(share: float) -> str:
    return "–" if math.isnan(share) else f"{round(100 * share):+d}%"


def _without_nan(line: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value != value else value for key, value in line.items()}
