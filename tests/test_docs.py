"""The documentation says what the code does, leads where it points, and keeps its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import script
from tamperscope.settings import TABLE

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "model" / "README.md"]


def test_what_the_code_knows_is_up_to_date(capsys):
    assert script("docs/generate").main(check=True) == 0, capsys.readouterr().err


def test_every_setting_is_documented():
    guide = (ROOT / "docs" / "guides" / "operations.md").read_text(encoding="utf-8")

    for setting in TABLE:
        assert f"| `{setting.variables[0]}`" in guide
        assert setting.help.endswith(".")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_a_word_that_the_glossary_rules_out_is_found_across_lines():
    check = script("docs/check_style")
    words = dict(check.ruled_out(check.STYLE.read_text(encoding="utf-8")))
    # Put together here, or this file would be found as well.
    text = f'"""An image in\n    {"wo" + "rk"}."""\n# {"Who" + "ever"} asks.\nvalue is None\n'

    found = [(line, word) for line, word in check.found_in(text, words)]

    assert found == [(1, "in wo" + "rk"), (3, "Who" + "ever")]
