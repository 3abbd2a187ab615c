"""The directions of imports are those that `docs/architecture.md` draws."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tamperscope"
# Small files that every part may use, and the package's own face.
GROUND = {"_extra", "_external_data", "_version"}
FACE = {"tamperscope", "__main__"}
TRAINING = {"network", "synthesis", "training", "evaluation", "datasets"}


@dataclass(frozen=True)
class Import:
    source: str
    target: str
    deferred: bool
    """Inside a function, so only when that is called."""
    for_types: bool
    """Only for a type checker."""


def modules() -> dict[str, Path]:
    return {name(path): path for path in PACKAGE.rglob("*.py")}


def name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imports() -> tuple[Import, ...]:
    known = modules()
    return tuple(found for source, path in known.items() for found in imports_of(source, path, known))


def imports_of(source: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    def walk(node: ast.AST, deferred: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                targets = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                # `from package import module` names a module, anything else a thing inside of one.
                full = [f"{child.module}.{alias.name}" for alias in child.names]
                targets = [each if each in known else str(child.module) for each in full]
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                yield from walk(child, deferred or inside, for_types or types)
                continue
            for target in targets:
                if target.split(".")[0] == "tamperscope":
                    yield Import(source, target, deferred, for_types)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False, False)


def part(module: str) -> str:
    return [*module.split("."), ""][1] or "tamperscope"


def layers() -> list[set[str]]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    diagram = re.search(r"## Directions.*?```text\n(.*?)```", text, re.DOTALL)
    assert diagram
    return [set(line.split()) for line in diagram[1].splitlines()]


def test_the_diagram_has_every_part_once():
    drawn = [each for layer in layers() for each in layer]

    assert len(drawn) == len(set(drawn))
    assert set(drawn) | GROUND | FACE == {part(module) for module in modules()}


def test_imports_lead_down():
    height = {each: -number for number, layer in enumerate(layers()) for each in layer}
    height |= dict.fromkeys(GROUND, -100) | dict.fromkeys(FACE, 100)

    up = [
        f"{found.source} -> {found.target}"
        for found in imports()
        if part(found.source) != part(found.target)
        and height[part(found.target)] >= height[part(found.source)]
        # Small files of the ground may use one another and the errors.
        and not (part(found.source) in GROUND and part(found.target) in GROUND | {"errors"})
    ]

    assert up == []


def test_no_files_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {}
    for found in imports():
        # A package's face names its own files, which name one another by their own names.
        if found.target != found.source and not found.source.startswith(f"{found.target}."):
            graph.setdefault(found.source, set()).add(found.target)

    TopologicalSorter(graph).prepare()


def test_serving_does_without_what_training_needs():
    height = {each: number for number, layer in enumerate(layers()) for each in layer}
    serving = {each for each in height if height[each] >= height["server"]} - TRAINING

    assert [
        f"{found.source} -> {found.target}"
        for found in imports()
        if part(found.source) in serving and part(found.target) in TRAINING and not found.deferred
    ] == []


@pytest.mark.parametrize("module", ["tamperscope", "tamperscope.api", "tamperscope.client"])
def test_a_client_loads_no_database_no_opencv_and_no_networks(module):
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert set(loaded.split()).isdisjoint(
        {"sqlalchemy", "alembic", "cv2", "openvino", "numpy", "PIL", "flask", "torch"}
    )
