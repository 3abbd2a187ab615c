"""The curves of a run as two tables: `training.csv` and `validation.csv`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only


class Curves(Logger):
    """Appends a row per logged step.

    A resumed run continues the tables. It first drops the rows from its first step on, which the interrupted
    run may have written after its last checkpoint. Lightning's own CSV logger would start new tables.
    """

    name = "curves"
    version = ""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._begun: set[Path] = set()

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: the config is in the same folder as the tables."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row to each table. Metrics are named `<table>/<metric>`."""
        if rank_zero_only.rank:
            return
        rows: dict[str, dict[str, float]] = {}
        for name, value in metrics.items():
            table, slash, column = name.partition("/")
            if slash:
                rows.setdefault(table, {})[column] = value
        for table, row in rows.items():
            self._append(self._folder / f"{table}.csv", {"step": step or 0, **row})

    def _append(self, path: Path, row: Mapping[str, float]) -> None:
        if path not in self._begun:
            self._begun.add(path)
            _write(path, row, [old for old in _rows(path) if int(old["step"]) < row["step"]])
        with path.open("a", newline="") as file:
            csv.DictWriter(file, list(row)).writerow(row)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, columns: Mapping[str, float], rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
