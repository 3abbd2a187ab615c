"""Write the rows of a scan as Parquet or JSON lines."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamperscope._extra import require
from tamperscope.errors import ScanError
from tamperscope.evidence import MEASUREMENTS
from tamperscope.report import BundleIdentity
from tamperscope.scanning.files import printable
from tamperscope.scanning.journal import ScannedFile

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = (".parquet", ".jsonl")

_ROW_GROUP = 10_000


def check_output(out: Path) -> None:
    """Raise `ScanError` unless the suffix of `out` is supported.

    Raises `MissingExtraError` when it is .parquet and pyarrow is not installed.
    """
    if out.suffix not in SUFFIXES:
        raise ScanError(f"{out} must end in {' or '.join(SUFFIXES)}.")
    if out.suffix == ".parquet":
        require("Writing Parquet", ["pyarrow"], "scan")


def write_results(files: Iterable[ScannedFile], bundle: BundleIdentity, out: Path) -> None:
    """Write the rows of `files` to `out`, in the format of its suffix.

    `out` is complete or does not exist: it is written under another name first. Raises `ScanError` when it
    cannot be written.
    """
    part = out.with_name(f".{out.name}.part")
    documents = (to_json(file, bundle) for file in files)
    try:
        if out.suffix == ".parquet":
            _write_parquet(documents, part)
        else:
            with part.open("w", encoding="utf-8") as lines:
                lines.writelines(json.dumps(document, allow_nan=False) + "\n" for document in documents)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ScanError(f"{out} cannot be written: {error.strerror}.") from None


def to_json(file: ScannedFile, bundle: BundleIdentity) -> dict[str, Any]:
    """Return the row of a file as a JSON object; every row has every key."""
    content = file.row.to_json()
    del content["recognised"]
    return {
        "path": printable(file.path),
        "sha256": file.sha256,
        **content,
        "bundle": dataclasses.asdict(bundle),
    }


def _write_parquet(documents: Iterator[dict[str, Any]], part: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    schema = _schema()
    with pyarrow.parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        while group := list(itertools.islice(documents, _ROW_GROUP)):
            for document in group:
                # Few tools can read nested lists of points. All can read text.
                document["regions"] = None if document["regions"] is None else json.dumps(document["regions"])
            writer.write_table(pyarrow.Table.from_pylist(group, schema))


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    return pa.schema(
        [
            ("path", text),
            ("sha256", text),
            ("verdict", text),
            ("score", number),
            ("type", text),
            ("regions", text),
            ("evidence", pa.struct([(name, number) for name in MEASUREMENTS])),
            ("notes", pa.list_(text)),
            ("origin", text),
            ("origin_headline", text),
            ("origin_rule", text),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("format", text),
            ("byte_count", pa.int64()),
            ("error", text),
            ("bundle", pa.struct([(field.name, text) for field in dataclasses.fields(BundleIdentity)])),
        ]
    )
