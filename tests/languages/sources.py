"""Every text in the source that people read, as the catalogues must have it."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

from tamperscope.detector import COUNTED
from tamperscope.documents import wording
from tamperscope.evidence import MEASUREMENTS
from tamperscope.evidence.metadata import marks
from tamperscope.images.kind import LARGEST, SIZES
from tamperscope.server.views.page import TEXTS

PACKAGE = Path(__file__).parents[2] / "src" / "tamperscope"
WEB = PACKAGE / "server" / "web"
_SAYING = {"say": 1, "say_count": 3, "say_of": 3, "entry": 1}
"""Functions that take texts of the catalogue, and how many arguments hold them."""
_REPORTING = (
    "evidence",
    "detector.py",
    "report.py",
    "calibration.py",
    "origin.py",
    "images/__init__.py",
    "images/kind.py",
)
"""Where sentences of reports are written, as plain English. `translated` recognises them."""
_UNREAD = re.compile(
    r"^\^|^\\b|^\{\"|^Raw profile|^Tag 0x|^APP|^SOF|`|uint8|binary mode|from \{type"
    r"|^EXIF Make|^MakerNote|^Maker note$"
    r"|^(Camera|Time|File|Declared|Editing|Made|Recorded|Exposure|Focal|Colour|Aperture) "
    r"(?!as)[a-z(]+\)?( \(\w+\))?$"
    r"|^an(other)? $|^Hidden text$|^ftyp |^version \{|^, preview of \{|^per (inch|centimetre)$"
    r"|^colour transform "
    r"|^\{across\} x \{down\} "
    r"|^Pictures in the file$|^Content Credentials$|^Adobe Photoshop$|^ and( no)? $|^of $|^about $"
    r"|^\{path\}|^operating points|^An image cannot be read|^\{\w+\} x \{\w+\}$|^exact copies are searched"
)
"""Texts there that no sentence of a report contains: patterns, names of details, words for programmers."""
_WORDS = {"mirrored", "unchanged"}
_NUMBERS = "proof.py"
"""A module whose texts name the terms of a formula."""


def page_texts() -> set[str]:
    """Return the texts of the page's file and of its scripts."""
    page = "".join((WEB / name).read_text("utf-8") for name in ("index.html", "missing.html"))
    found = {html.unescape(" ".join(text["text"].split())) for text in TEXTS.finditer(page)}
    for script in WEB.glob("*.js"):
        found |= set(_script_texts(script.read_text("utf-8")))
    return {text for text in found if re.search(r"[a-z]{2}|, ", text) and text != "tamperscope"}


def bare_texts() -> set[str]:
    """Return what looks like a text in the page's scripts, and is not asked for in the reader's language."""
    found = set()
    for script in set(WEB.glob("*.js")) - {WEB / "client-zip.js"}:
        code = re.sub(r"^\s*(//|/?\*).*$|\s// .*$", "", script.read_text("utf-8"), flags=re.MULTILINE)
        found |= set(re.findall(r'["`]([A-Z][a-z]+ [a-z][^"`]*)["`]', code))
    return found - page_texts()


def _script_texts(code: str) -> Iterator[str]:
    literal = r'"((?:[^"\\]|\\.)*)"'
    for call in re.finditer(rf"(?<![\w.$])(?:t|parts)\(\s*{literal}", code):
        yield call[1]
    for call in re.finditer(rf"(?<![\w.$])tn\(\s*[^\"]*?,\s*{literal},\s*{literal}", code):
        yield call[2]


def report_texts() -> set[str]:
    """Return the texts of reports, those of `stored_texts` included."""
    found = {wording.title(name) for name in MEASUREMENTS}
    found |= {wording.title(name).replace("Clones", "clones").replace("Double", "double") for name in COUNTED}
    for path in (*(PACKAGE / "documents").rglob("*.py"), PACKAGE / "languages" / "__init__.py"):
        found |= set(_said(path))
    template = (PACKAGE / "documents" / "templates" / "report.html").read_text("utf-8")
    found |= set(re.findall(r'say\("([^"]+)"', template))
    return found | stored_texts()


def stored_texts() -> set[str]:
    """Return the templates of the sentences that are stored in English: those of evidence and analysis."""
    found = {
        f"{{files}} {'of ' if size[0].isdigit() else ''}{size}" for size in (*dict(SIZES).values(), LARGEST)
    }
    found |= marks.texts()
    for name in _REPORTING:
        place = PACKAGE / name
        for path in place.rglob("*.py") if place.is_dir() else [place]:
            found |= set(written_in(path)) if path.name != _NUMBERS else set()
    return found - set(dict(SIZES).values()) - {LARGEST}


def _said(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in _SAYING:
            texts = [each.value for each in node.args[: _SAYING[name]] if isinstance(each, ast.Constant)]
            yield from [text for text in texts[-1:] if isinstance(text, str)]


def written_in(path: Path) -> Iterator[str]:
    """Yield the sentences and phrases of a module, with `{names}` for the values of its f-strings."""
    tree = ast.parse(path.read_text("utf-8"))
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _logs(node):
            passed |= {id(each) for each in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            passed |= {id(each) for each in node.values}
            passed |= {
                id(value.format_spec) for value in node.values if isinstance(value, ast.FormattedValue)
            }
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.JoinedStr):
            text = _distinct("".join(_part(value) for value in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        bare = re.sub(r"\{\w+\}", "", text)
        told = re.search(r"[a-z]+ [a-z(]|[a-z]{2}.* |^ [a-z]+ ", bare) or text in _WORDS
        if told and not _UNREAD.search(text) and "\n" not in text:
            yield text


def _distinct(template: str) -> str:
    """Return a template with a number after each name that it used before."""
    seen: dict[str, int] = {}

    def named(found: re.Match[str]) -> str:
        seen[found[1]] = seen.get(found[1], 0) + 1
        return f"{{{found[1]}{seen[found[1]] if seen[found[1]] > 1 else ''}}}"

    return re.sub(r"\{(\w+)\}", named, template)


def _logs(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "_log"


def _part(value: ast.expr) -> str:
    """Return a part of an f-string; a value has the first name in its expression that is not a function."""
    if isinstance(value, ast.Constant):
        return str(value.value)
    assert isinstance(value, ast.FormattedValue)
    called = {id(node.func) for node in ast.walk(value.value) if isinstance(node, ast.Call)}
    names = [
        getattr(node, "attr", getattr(node, "id", ""))
        for node in ast.walk(value.value)
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in called
    ]
    return f"{{{names[0].strip('_').lower()}}}"
