"""What all commands share: exit codes, messages on stderr, tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tamperscope.report import Verdict

FINDING, WRONG_USE, UNREADABLE, INTERRUPTED, NO_READER = 1, 2, 3, 130, 141
"""Exit codes other than 0, in this order: a result that the caller asked to fail on, wrong usage, an input
that could not be read, and, as shells report them, Ctrl-C and output that no one reads any more.
"""

QUIET, NORMAL, VERBOSE = -1, 0, 1
"""How much a command says on stderr; see `tell`."""

_VERBOSITY = "tamperscope.verbosity"
_PLAIN = "tamperscope.plain"
_READABLE_WIDTH = 30
_STYLES = {Verdict.MANIPULATED: "bold red", Verdict.INCONCLUSIVE: "yellow", Verdict.AUTHENTIC: "green"}


def complain(sentence: str) -> None:
    """Print what went wrong to stderr."""
    click.echo(sentence, err=True)


def tell(sentence: str, level: int = NORMAL) -> None:
    """Print a message about the run to stderr, if the caller wants messages of this level."""
    if verbosity() >= level:
        complain(sentence)


def verbosity() -> int:
    """Return how much the command that runs may say: `QUIET`, `NORMAL` or `VERBOSE`."""
    context = click.get_current_context(silent=True)
    level: int = context.meta.get(_VERBOSITY, NORMAL) if context else NORMAL
    return level


def set_verbosity(context: click.Context, level: int) -> None:
    """Let the command that runs say as much as `level`."""
    context.meta[_VERBOSITY] = level


def set_plain(context: click.Context) -> None:
    """Have the command that runs print its tables tab-separated, on a terminal too."""
    context.meta[_PLAIN] = True


def shows_progress() -> bool:
    """Return whether a progress bar is of use: a person watches, and did not ask for silence."""
    return sys.stderr.isatty() and verbosity() > QUIET


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 image`, `2,000 images`. `plural` is for nouns that take no s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, path_first: bool = False) -> None:
    """Print a table to stdout: aligned on a terminal, tab-separated with one row a line elsewhere.

    With `path_first`, the first column holds paths. A terminal that is too narrow for one shows its two ends.
    """
    context = click.get_current_context(silent=True)
    if not sys.stdout.isatty() or (context and context.meta.get(_PLAIN)):
        for row in (columns, *rows):
            click.echo("\t".join(" ".join(cell.split("\t")).replace("\n", " ") for cell in row))
        return
    _print_aligned(columns, rows, path_first)


def _print_aligned(columns: Sequence[str], rows: Sequence[Sequence[str]], path_first: bool) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    aligned = Table(box=None, pad_edge=False)
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    # Columns after the paths that are wider hold sentences, which fold; a verdict or a score is always whole.
    folds = [number > 0 and width > _READABLE_WIDTH for number, width in enumerate(widths)]
    for number, column in enumerate(columns):
        whole = widths[number] if path_first and number and not folds[number] else None
        aligned.add_column(column, overflow="fold", no_wrap=path_first and not folds[number], min_width=whole)
    others = sum(min(width, _READABLE_WIDTH) for width in widths[1:]) + 2 * len(columns)
    longest = max(20, console.width - others)
    for row in rows:
        first = _both_ends(row[0], longest) if path_first else row[0]
        # As Text: a plain string in square brackets would be read as markup.
        aligned.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in (first, *row[1:])))  # type: ignore[call-overload]
    console.print(aligned)


def _both_ends(path: str, longest: int) -> str:
    if len(path) <= longest:
        return path
    tail = (longest - 1) * 2 // 3
    return f"{path[: longest - 1 - tail]}…{path[-tail:]}"
