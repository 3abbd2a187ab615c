"""Fail where a word is used that the glossary in `docs/style.md` rules out.

    python docs/check_style.py

Prints `file:line: word, rather: replacement`, and exits with 1 when there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
STYLE = ROOT / "docs" / "style.md"
SUFFIXES = (".py", ".md", ".html", ".js", ".css", ".yaml", ".toml", ".ipynb", ".sh")


def main() -> int:
    """Check every text that is tracked by Git; return the exit code."""
    words = dict(ruled_out(STYLE.read_text(encoding="utf-8")))
    found = 0
    for path in texts():
        for line, word in found_in(path.read_text(encoding="utf-8"), words):
            print(f"{path.relative_to(ROOT)}:{line}: {word!r}, rather: {words[word.lower()]}")
            found += 1
    return int(found > 0)


def found_in(text: str, words: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield line number and spelling of each of the words in a text, even if a line ends within it."""
    spaced = (re.escape(word).replace(r"\ ", r"\s+") for word in words)
    for match in re.finditer(rf"(?<![\w-])({'|'.join(spaced)})(?![\w-])", unwrapped(text), re.IGNORECASE):
        word = " ".join(match[1].split())
        if not word.endswith("None"):  # Python's
            yield text.count("\n", 0, match.start()) + 1, word


def ruled_out(style: str) -> Iterator[tuple[str, str]]:
    """Yield each word that the glossary rules out, and what to write instead."""
    glossary = style[style.index("## Words") : style.index("## Names")]
    for row in re.findall(r"^\|(.*)\|$", glossary, re.MULTILINE):
        instead, _, words = (cell.strip() for cell in row.split("|"))
        for word in re.findall(r'"([^"]+)"', words):
            yield word.lower(), instead


def texts() -> Iterator[Path]:
    """Yield the files that people read."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name.endswith(SUFFIXES) and path != STYLE and path.is_file():
            yield path


def unwrapped(text: str) -> str:
    """Return text of the same length in which a line's end and what leads into the next one are spaces."""
    return re.sub(r'\n[ \t]*(?:#|//|\*|f?")?[ \t]*', lambda match: "\n" + " " * (len(match[0]) - 1), text)


if __name__ == "__main__":
    sys.exit(main())
