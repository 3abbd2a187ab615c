"""The examples in docstrings run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import tamperscope

# Modules that need an extra, or that do something when they are imported.
LEFT_OUT = ("tamperscope.__main__", "tamperscope.store.migrations", "tamperscope.evidence._c2pa_reader")


def modules_with_examples() -> list[str]:
    names = ["tamperscope"]
    for module in pkgutil.walk_packages(tamperscope.__path__, "tamperscope."):
        if not module.name.startswith(LEFT_OUT):
            names.append(module.name)
    return [name for name in names if ">>>" in source(name)]


def source(name: str) -> str:
    found = importlib.util.find_spec(name)
    assert found
    assert found.loader
    return found.loader.get_source(name) or ""


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name):
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)

    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize(
    "name", ["tamperscope.detector", "tamperscope.report", "tamperscope.bundle", "tamperscope.images"]
)
def test_entry_points_have_an_example(name):
    assert name in modules_with_examples()
