"""Collect the pages of the documentation and build a site of them. `mkdocs.yml` describes it.

python docs/site.py    # what `make site` calls

The pages keep their places in the repository, so that links between them work here and there. The reference
is written from the code: Python from docstrings, the command line from its help, HTTP from
`docs/openapi.json`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tamperscope
from tamperscope.client import AsyncClient, Client

ROOT = Path(__file__).parents[1]
OPENAPI = ROOT / "docs" / "openapi.json"
PAGES = ROOT / "build" / "pages"
Schema = dict[str, Any]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")


def main() -> int:
    """Collect the pages, and build the site; return the exit code."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for page in (*ROOT.glob("*.md"), ROOT / "model" / "README.md", *ROOT.glob("docs/**/*.md")):
        copy(page)
        # With the pictures and files that it leads to.
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            linked = (page.parent / target).resolve()
            if linked.is_file() and linked.suffix != ".md":
                copy(linked)
    document = json.loads(OPENAPI.read_text(encoding="utf-8"))
    reference = {"python": python(), "command-line": COMMAND_LINE, "http-api": http_api(document)}
    for name, text in reference.items():
        write(PAGES / "reference" / f"{name}.md", text)
    # The theme prints an advertisement for its successor.
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet"], cwd=ROOT, env=quiet
    ).returncode


def copy(file: Path) -> None:
    """Copy a file of the repository to the same place among the pages."""
    write(PAGES / file.relative_to(ROOT), file.read_bytes())


def write(path: Path, content: str | bytes) -> None:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def python() -> str:
    """Return the page of the public names, errors last."""
    names = sorted(tamperscope.__all__, key=lambda name: (name.endswith("Error"), name))
    public = [getattr(tamperscope, name) for name in names if not name.startswith("_")]
    entries = [f"::: {each.__module__}.{each.__name__}" for each in (*public, Client, AsyncClient)]
    return "\n\n".join(("# Python", "What `tamperscope` and `tamperscope.client` offer.", *entries)) + "\n"


def http_api(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document: its endpoints, then the types of their answers."""
    lines = ["# HTTP API", "A server shows the same at `/docs`, where requests can be tried.", "## Endpoints"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines += [f"### {method.upper()} {escaped(path)}", operation.get("summary", "")]
            lines.append(operation.get("description", ""))
            lines.append(fields("parameter", operation.get("parameters", []), lambda each: each["schema"]))
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                lines += [f"Body, {kind_of(body['schema'])} as `{kind}`.", properties(body["schema"])]
            for status, answer in operation["responses"].items():
                kinds = answer.get("content", {})
                types = ", ".join(
                    f"{kind_of(each.get('schema', {}))} as `{kind}`" for kind, each in kinds.items()
                )
                lines.append(f"- **{status}** {answer['description']}{': ' if types else ''}{types}")
    lines.append("## Types")
    for name, schema in document["components"]["schemas"].items():
        lines += [f"### {name}", schema.get("description", ""), properties(schema)]
    return "\n\n".join(filter(None, lines)) + "\n"


def properties(schema: Schema) -> str:
    """Return the table of an object's fields; empty without any."""
    named = [{"name": name, **each} for name, each in schema.get("properties", {}).items()]
    return fields("field", named, lambda each: each)


def fields(heading: str, named: list[Schema], schema: Callable[[Schema], Schema]) -> str:
    """Return a table of things that have a name, a schema and a description; empty without any."""
    if not named:
        return ""
    rows = [f"| {heading} | type | what it is |", "|---|---|---|"]
    for each in named:
        rows.append(f"| `{each['name']}` | {kind_of(schema(each))} | {cell(each.get('description', ''))} |")
    return "\n".join(rows)


def kind_of(schema: dict[str, Any]) -> str:
    """Return a schema's type in words, with a link if it has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " or ".join(map(kind_of, schema[union]))
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return f"list of {kind_of(schema['items'])}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return str(schema.get("type", "any"))


def cell(text: str) -> str:
    """Return a text as the cell of a table."""
    return escaped(" ".join(text.split())).replace("|", "\\|")


def escaped(text: str) -> str:
    """Return a text without the characters that Markdown takes for markup."""
    return text.replace("<", "&lt;").replace("{", "&#123;")


COMMAND_LINE = """# Command line

::: mkdocs-click
    :module: tamperscope.cli
    :command: main
    :prog_name: tamperscope
    :depth: 1
    :style: plain
    :list_subcommands: true
"""


if __name__ == "__main__":
    sys.exit(main())
