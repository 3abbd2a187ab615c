"""Write the parts of the documentation that the code knows: the API's description and the table of settings.

python docs/generate.py            # what `make docs` calls
python docs/generate.py --check    # fail where a part is out of date
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tamperscope.server import assembly
from tamperscope.server.app import create_app
from tamperscope.server.openapi import document
from tamperscope.settings import TABLE, Settings
from tamperscope.store import AnalysisStore, Database

DOCS = Path(__file__).parent
OPENAPI = DOCS / "openapi.json"
OPERATIONS = DOCS / "guides" / "operations.md"
BEGIN, END = "<!-- settings: written by make docs -->", "<!-- end of settings -->"


def main(check: bool) -> int:
    """Write every part, or only compare; return the exit code."""
    stale = []
    for path, content in ((OPENAPI, openapi()), (OPERATIONS, with_settings(OPERATIONS.read_text("utf-8")))):
        if path.exists() and path.read_text("utf-8") == content:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(content, "utf-8", newline="\n")
    if check and stale:
        print(f"Out of date: {', '.join(stale)}. Run: make docs", file=sys.stderr)
    return int(check and bool(stale))


def openapi() -> str:
    """Return the OpenAPI document of a server with the default settings."""
    # Nothing is asked of the store, so its file is never made.
    store = AnalysisStore(Database("sqlite:///unused.db"))
    settings = Settings()
    parts = assembly.assemble(settings, lambda: assembly.load_detector(settings), store, job_threads=0)
    return json.dumps(document(create_app(parts)), indent=2) + "\n"


def with_settings(guide: str) -> str:
    """Return the operations guide with today's table of settings between its two markers."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for setting in TABLE:
        variables = " or ".join(f"`{name}`" for name in setting.variables)
        default = setting.shown_default or (f"`{setting.default}`" if setting.default else "none")
        rows.append(f"| {variables} | {default} | {setting.help.replace('|', chr(92) + '|')} |")
    table = "\n".join(rows)
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n\n{table}\n\n{END}", guide, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
