"""The command line: one module of `commands/` for each command.

Exit codes: 0 success, 1 a result that the caller asked to fail on, 2 wrong usage, 3 an input that could not
be read, 130 Ctrl-C, 141 output that no one reads any more. Results go to stdout, messages about the run to
stderr. A command imports slow modules inside its function.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from tamperscope._version import __version__
from tamperscope.commands.analyze import analyze
from tamperscope.commands.bundles import import_checkpoint, models
from tamperscope.commands.calibrate import calibrate
from tamperscope.commands.completion import completion
from tamperscope.commands.dataset import dataset
from tamperscope.commands.evaluate import evaluate
from tamperscope.commands.keys import keys
from tamperscope.commands.output import INTERRUPTED, NO_READER, WRONG_USE, complain
from tamperscope.commands.quantize import quantize
from tamperscope.commands.release import release
from tamperscope.commands.scan import scan
from tamperscope.commands.serve import serve, worker
from tamperscope.commands.synthesize import synthesize
from tamperscope.commands.train import train
from tamperscope.commands.verify import verify
from tamperscope.errors import TamperscopeError

_SECTIONS = {
    "Look at images": (analyze, scan, verify),
    "Serve": (serve, worker, keys),
    "Train and measure": (
        import_checkpoint,
        synthesize,
        dataset,
        train,
        release,
        calibrate,
        quantize,
        evaluate,
    ),
    "Set up": (models, completion),
}
_WIDEST_HELP = 200


class _Commands(click.Group):
    """Lists the commands by what they are for, and prints the package's own errors as one sentence."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _reader_may_leave():  # --help and --version print here
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_leave():
            try:
                return super().invoke(ctx)
            except TamperscopeError as error:
                complain(str(error))
                ctx.exit(WRONG_USE)
            except KeyboardInterrupt:
                # click would exit with 1, which --fail-on uses.
                complain("Stopped.")
                ctx.exit(INTERRUPTED)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                # Uncut: a line that ends in dots says nothing.
                formatter.write_dl(
                    [(command.name or "", command.get_short_help_str(_WIDEST_HELP)) for command in commands]
                )


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """End the program without a word when the program that reads its output has ended, such as `head`."""
    try:
        yield
    except BrokenPipeError:
        # At its end, Python writes what is left in its buffers, and would complain.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        # click would exit with 1, which --fail-on uses.
        sys.exit(NO_READER)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Exit codes:
  0    success
  1    --fail-on: an image has a verdict that it names
  2    wrong usage, or nothing could be started
  3    an input could not be read; the others were processed
  130  stopped with Ctrl-C
  141  the program that read the output has ended
""",
)
@click.version_option(__version__, prog_name="tamperscope")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Detect whether an image was manipulated, where, and how.

    `tamperscope COMMAND --help` explains a command, with examples.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _commands in _SECTIONS.values():
    for _command in _commands:
        main.add_command(_command)
