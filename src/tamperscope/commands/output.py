"""What every command shares: exit codes, complaints on stderr, tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence

import click

FINDING, WRONG_USE, UNREADABLE, INTERRUPTED = 1, 2, 3, 130
"""Exit codes besides 0: a finding the caller asked to fail on, wrong use, an input that could not be read,
Ctrl-C as shells report it.
"""


def complain(sentence: str) -> None:
    """Say something about the run, on stderr."""
    click.echo(sentence, err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for people on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As Text, because a file name in square brackets is not markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
