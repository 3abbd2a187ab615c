"""Put the modules of the client into its wheel, under the name `tamperscope_client`.

The code exists once, in `src/tamperscope`. It gets another name because two distributions must not own the
same files: removing one of them would break the other.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path(__file__).parents[2] / "src" / "tamperscope"
MODULES = (
    "_version.py",
    "api.py",
    "case.py",
    "client/__init__.py",
    "client/_requests.py",
    "errors.py",
    "feedback.py",
    "jobs/__init__.py",
    "jobs/model.py",
    "origin.py",
    "report.py",
)
"""Everything that `tamperscope.client` imports; `tests/test_distributions.py` compares."""


class ClientModules(BuildHookInterface[Any]):
    """Called by hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the renamed modules to the wheel."""
        del version
        self.folder = tempfile.TemporaryDirectory()
        for module in MODULES:
            target = Path(self.folder.name) / module
            target.parent.mkdir(exist_ok=True)
            target.write_text(renamed((SOURCE / module).read_text("utf-8")), "utf-8")
            build_data["force_include"][str(target)] = f"tamperscope_client/{module}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what `initialize` made."""
        del version, build_data, artifact_path
        self.folder.cleanup()


def renamed(code: str) -> str:
    """Return a module's code with its imports from `tamperscope` under the other name."""
    return re.sub(r"^(\s*(?:from|import) )tamperscope\b", r"\1tamperscope_client", code, flags=re.MULTILINE)
