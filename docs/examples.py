"""Show the examples of docstrings as code.

An extension of mkdocstrings, which takes the section `Example:` for a note in Markdown.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^Example:\n((?:(?: {4}.*)?(?:\n|\Z))+)", re.MULTILINE)


class Examples(griffe.Extension):
    """Put a fence around each example."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(fenced, obj.docstring.value)


def fenced(example: re.Match[str]) -> str:
    """Return the section with its lines in a block of code."""
    lines = example[1].rstrip("\n")
    language = "pycon" if lines.lstrip().startswith(">>>") else "python"
    return f"Example:\n    ```{language}\n{lines}\n    ```\n\n"
