"""Fail where a word is used that the glossary in `docs/style.md` rules out.

    python docs/check_style.py

Prints `file:line: word, rather: replacement`, and exits with 1 when there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
STYLE = ROOT / "docs" / "style.md"
SUFFIXES = (".py", ".md", ".html", ".js", ".css", ".yaml", ".toml", ".ipynb", ".sh")


def main() -> int:
    """Check every text that is tracked by Git; return the exit code."""
    words = {word.lower(): instead for word, instead in ruled_out(STYLE.read_text(encoding="utf-8"))}
    spaced = (re.escape(word).replace(r"\ ", r"\s+") for word in words)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(spaced)})(?![\w-])", re.IGNORECASE)
    found = 0
    for path in texts():
        # A sentence may go on in the next line, behind a comment's mark or the quotes of a string.
        for match in pattern.finditer(text := joined(path.read_text(encoding="utf-8"))):
            line = text.count("\n", 0, match.start()) + 1
            word = " ".join(match[1].split())
            if word.endswith("None"):  # Python's
                continue
            print(f"{path.relative_to(ROOT)}:{line}: {word!r}, rather: {words[word.lower()]}")
            found += 1
    return int(found > 0)


def ruled_out(style: str) -> Iterator[tuple[str, str]]:
    """Yield each word that the glossary rules out, and what to write instead."""
    glossary = style[style.index("## Words") : style.index("## Names")]
    for row in re.findall(r"^\|(.*)\|$", glossary, re.MULTILINE):
        instead, _, words = (cell.strip() for cell in row.split("|"))
        for word in re.findall(r'"([^"]+)"', words):
            yield word, instead


def texts() -> Iterator[Path]:
    """Yield the files that people read."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)  # noqa: S607
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name.endswith(SUFFIXES) and path != STYLE and path.is_file():
            yield path


def joined(text: str) -> str:
    """Return text of the same length in which a line's end and what leads into the next one are spaces."""
    return re.sub(r'\n[ \t]*(?:#|//|\*|f?")?[ \t]*', lambda match: "\n" + " " * (len(match[0]) - 1), text)


if __name__ == "__main__":
    sys.exit(main())
