"""The command line: one module of `commands/` for each command.

Exit codes: 0 success, 1 a result that the caller asked to fail on, 2 wrong usage, 3 an input that could not
be read. Results go to stdout, messages about the run to stderr. A command imports slow modules inside its
function.
"""

from __future__ import annotations

from typing import Any

import click

from tamperscope._version import __version__
from tamperscope.commands.analyze import analyze
from tamperscope.commands.bundles import import_checkpoint, models
from tamperscope.commands.calibrate import calibrate
from tamperscope.commands.dataset import dataset
from tamperscope.commands.evaluate import evaluate
from tamperscope.commands.keys import keys
from tamperscope.commands.output import WRONG_USE, complain
from tamperscope.commands.quantize import quantize
from tamperscope.commands.release import release
from tamperscope.commands.scan import scan
from tamperscope.commands.serve import serve, worker
from tamperscope.commands.synthesize import synthesize
from tamperscope.commands.train import train
from tamperscope.errors import TamperscopeError


class _Commands(click.Group):
    """Prints the package's own errors as one sentence on stderr, without a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TamperscopeError as error:
            complain(str(error))
            ctx.exit(WRONG_USE)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tamperscope")
def main() -> None:
    """Detect whether an image was manipulated, where, and how."""


for _command in (
    serve,
    worker,
    analyze,
    scan,
    synthesize,
    dataset,
    train,
    release,
    calibrate,
    evaluate,
    import_checkpoint,
    quantize,
    models,
    keys,
):
    main.add_command(_command)
