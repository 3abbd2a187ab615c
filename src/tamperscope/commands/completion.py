"""`tamperscope completion`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from tamperscope.commands.output import tell


@dataclass(frozen=True)
class _Place:
    """Where a shell looks for the completions of a program."""

    file: str
    """Below the user's home."""
    hint: str


_PLACES = {
    "bash": _Place(
        ".local/share/bash-completion/completions/tamperscope",
        "It works in new terminals if the package bash-completion is installed.",
    ),
    "fish": _Place(".config/fish/completions/tamperscope.fish", "It works in new terminals."),
    "zsh": _Place(
        ".zfunc/_tamperscope",
        "It works in new terminals if ~/.zshrc has: fpath=(~/.zfunc $fpath); autoload -U compinit; compinit",
    ),
}


@click.command()
@click.argument("shell", required=False, type=click.Choice(sorted(_PLACES)))
@click.option("--install", is_flag=True, help="Write it where the shell finds it, in your home folder.")
@click.pass_context
def completion(ctx: click.Context, shell: str | None, install: bool) -> None:
    """Complete commands, options and files with the Tab key.

    Prints the script that SHELL needs, by default for the shell that $SHELL names.

    \b
    Example:
      tamperscope completion --install
      eval "$(tamperscope completion bash)"    # for this terminal only
    """
    chosen = shell or Path(os.environ.get("SHELL", "")).name
    if chosen not in _PLACES:
        raise click.UsageError(f"Name the shell: {', '.join(sorted(_PLACES))}.")
    made = get_completion_class(chosen)
    assert made is not None  # click knows these three
    script = made(ctx.find_root().command, {}, "tamperscope", "_TAMPERSCOPE_COMPLETE").source().strip()
    if not install:
        click.echo(script)
        return
    place = _PLACES[chosen]
    target = Path.home() / place.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{script}\n", encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{target} cannot be written: {error.strerror}.") from None
    tell(f"{target} is written. {place.hint}")
