"""The quantisation tables of camera originals, and whether a file's tables fit the device that it names.

    fit = device_fit("Canon", "Canon EOS 5D", tables_name)
    fit.agrees, fit.contradicts, fit.text

`camera_tables.json` lists them, with the public collections that they were gathered from;
`benchmarks/camera_tables.py` writes it. Most cameras have tables of their own (Farid, "Digital image
ballistics from JPEG quantization", Dartmouth TR2006-583).
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENOUGH_OF_MODEL = 3
"""Originals of a model from which tables of a common program contradict it."""
ENOUGH_OF_MAKER, MODELS_OF_MAKER = 15, 5
"""Originals, and models, from which tables of a common program contradict a maker."""
_RARE = 0.04
"""Share of a maker's originals that may have tables of a common program."""


@dataclass(frozen=True)
class Device:
    """A device, and the tables of its originals."""

    maker: str
    model: str
    tables: Mapping[str, int]
    """How many originals have the tables of each name, as `tables_digest` or `common_name` gives it."""


@dataclass(frozen=True)
class Fit:
    """How tables fit a device."""

    agrees: bool = False
    contradicts: bool = False
    text: str = ""
    """In one sentence; empty if nothing is known."""


NOTHING_KNOWN = Fit()


def tables_digest(tables: tuple[NDArray[np.uint16], ...]) -> str:
    """Return a name for the tables, each (8, 8), of a JPEG's components."""
    return hashlib.sha256(b"".join(table.astype("<u2").tobytes() for table in tables)).hexdigest()[:12]


def common_name(program: str, quality: int) -> str:
    """Return the name of tables that a common program writes, such as `libjpeg 92`."""
    return f"{program} {quality}"


def device_fit(maker: str, model: str, name: str, devices: tuple[Device, ...] | None = None) -> Fit:
    """Return whether originals of a device have the tables of this name.

    Only tables of a common program contradict a device whose originals all have tables of its own. A device
    has more tables than anyone has collected, so unknown ones say nothing.
    """
    listed = _devices() if devices is None else devices
    ours = [device for device in listed if _plain(device.maker) == _plain(maker)]
    same = next((device for device in ours if _plain(device.model) == _plain(model)), None)
    if same and name in same.tables:
        return Fit(agrees=True, text="Originals of the device that the file names have the same tables.")
    if not _is_common(name):
        return NOTHING_KNOWN
    if same and sum(same.tables.values()) >= ENOUGH_OF_MODEL:
        if not any(map(_is_common, same.tables)):
            return _contradiction("the device that the file names")
        return NOTHING_KNOWN
    originals: Counter[str] = Counter()
    for device in ours:
        originals.update(device.tables)
    count = originals.total()
    common = sum(number for each, number in originals.items() if _is_common(each))
    if len(ours) >= MODELS_OF_MAKER and count >= ENOUGH_OF_MAKER and common <= _RARE * count:
        return _contradiction("the maker that the file names")
    return NOTHING_KNOWN


def _contradiction(whose: str) -> Fit:
    return Fit(
        contradicts=True,
        text=f"Known originals of {whose} have tables of their own, so the file was probably saved again "
        "by another program.",
    )


def _is_common(name: str) -> bool:
    return " " in name


def _plain(name: str) -> str:
    """Return a maker's or a model's name without case, legal form and spaces."""
    words = re.sub(
        r"\b(corporation|corp|company|co|ltd|inc|imaging|optical|electric|electronics)\b\.?",
        " ",
        name.lower(),
    )
    return re.sub(r"[^a-z0-9]", "", words)


@functools.cache
def _devices() -> tuple[Device, ...]:
    text = (resources.files("tamperscope.evidence") / "camera_tables.json").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)["devices"]
    return tuple(Device(row["maker"], row["model"], row["tables"]) for row in rows)
