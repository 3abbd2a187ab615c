"""What all commands share: exit codes, messages on stderr, tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence

import click

FINDING, WRONG_USE, UNREADABLE, INTERRUPTED = 1, 2, 3, 130
"""Exit codes other than 0, in this order: a result that the caller asked to fail on, wrong usage, an input
that could not be read, and Ctrl-C (as shells report it).
"""


def complain(sentence: str) -> None:
    """Print a message about the run to stderr."""
    click.echo(sentence, err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a human-readable table to stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As Text: a plain string in square brackets would be read as markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
