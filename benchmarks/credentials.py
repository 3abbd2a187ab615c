"""Count how the Content Credentials in a folder are called, beside what the official library reports of each.

    python benchmarks/credentials.py FOLDER [--listed]

Every image below FOLDER that Pillow opens and that has a record counts. The library is asked again, in this
process, so that its codes are not those that this program has read. A hash fits where the library reports
`assertion.*Hash.match` for the file's own record.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import c2pa
import click
from metadata import NO_PIXELS, recognised

from tamperscope.evidence import provenance
from tamperscope.images import Image

MIME_TYPES = {"HEIF": "image/heic"}
UNTRUSTED = "signingCredential.untrusted"
"""Reported of every file, because no list of trusted signers is given."""


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--listed", is_flag=True, help="Also print the state of each file.")
def main(folder: Path, listed: bool) -> None:
    """Compare the states of the Content Credentials in FOLDER with the library's codes."""
    warnings.simplefilter("ignore")  # Pillow's, about damaged files
    counts: Counter[tuple[str, str, str]] = Counter()
    names: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        image_format = recognised(path)
        data = path.read_bytes() if image_format else b""
        found = provenance.read(Image(NO_PIXELS, data, image_format)) if image_format else None
        if found is not None:
            hash_fits, codes = reported(path, image_format or "")
            counts[found.state, hash_fits, codes] += 1
            names[found.state].append(str(path.relative_to(folder)))
    print(f"{counts.total()} files with a record\n")
    print("| state | hash | what the library reports | files |\n|---|---|---|---|")
    for (state, hash_fits, codes), count in sorted(counts.items()):
        print(f"| {state} | {hash_fits} | {codes} | {count} |")
    wrong = sum(
        count
        for (state, fits, _), count in counts.items()
        if (state, fits) == (provenance.State.ALTERED, "fits")
    )
    print(f"\nCalled changed although the hash fits: {wrong}")
    if listed:
        for state, files in sorted(names.items()):
            print(f"\n{state}:", *files, sep="\n")


def reported(path: Path, image_format: str) -> tuple[str, str]:
    """Return whether the hash fits, and the failure codes of a file's own record, without duplicates."""
    settings = {"verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False}}
    try:
        with path.open("rb") as file:
            mime_type = MIME_TYPES.get(image_format, f"image/{image_format.lower()}")
            store = json.loads(c2pa.Reader(mime_type, file, context=c2pa.Context.from_dict(settings)).json())
    except c2pa.C2paError as error:
        return "–", str(error).partition(" http")[0].split(":")[-1].strip()[:60]
    results = (store.get("validation_results") or {}).get("activeManifest") or {}
    failures = [each["code"] for each in results.get("failure") or ()]
    codes = dict.fromkeys(code for code in failures if code != UNTRUSTED)
    successes = [each["code"] for each in results.get("success") or ()]
    if any(code.endswith("Hash.match") for code in successes):
        return "fits", ", ".join(codes) or "nothing"
    return ("does not fit" if any("Hash.mismatch" in code for code in codes) else "–"), ", ".join(codes)


if __name__ == "__main__":
    main()
