"""Write forgeries as files, in the plain layout or in DEFACTO's.

The plain layout has the folders `images/`, `masks/` and `authentic/`, and `source_masks/` for copy-move.

DEFACTO's layout (Mahfoudi et al. 2019) has a pair of folders per type, for example `splicing_1_img/img` and
`splicing_1_annotations/{probe_mask,donor_mask,graph}`. Its images are TIFF files. DEFACTO has no authentic
images; here they are in `authentic/`.

In both layouts, `forgeries.jsonl` has one JSON object per image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from tamperscope.report import ManipulationType
from tamperscope.synthesis.forgery import Forgery


@dataclass(frozen=True)
class Record:
    """One line of `forgeries.jsonl`, about one image. Files are relative to the folder of the set."""

    number: int
    file: str
    mask: str | None
    source_mask: str | None
    type: ManipulationType | None
    sources: tuple[str, ...]
    recipe: tuple[Mapping[str, Any], ...]

    def to_json(self) -> str:
        """Return the record as one line of JSON, without a newline."""
        fields = {
            "number": self.number,
            "file": self.file,
            "mask": self.mask,
            "source_mask": self.source_mask,
            "type": self.type and self.type.value,
            "sources": self.sources,
            "recipe": self.recipe,
        }
        return json.dumps(fields, ensure_ascii=False)


def write_folder(root: Path, number: int, forgery: Forgery, *, keep_compression: bool) -> Record:
    """Write one image in the plain layout.

    With `keep_compression`, the file is the one that the last compression wrote, so that its tables and its
    grid are those of the recipe. Otherwise it is a PNG with the same pixels.
    """
    kept = forgery.data if keep_compression else None
    suffix = forgery.suffix if kept is not None else ".png"
    name = f"{number:06}"
    folder = "images" if forgery.type else "authentic"
    files = {f"{folder}/{name}{suffix}": kept or _encoded(forgery.pixels, "PNG")}
    mask = source_mask = None
    if forgery.type:
        mask = f"masks/{name}.png"
        files[mask] = _encoded(forgery.mask, "PNG")
    if forgery.source_mask is not None:
        source_mask = f"source_masks/{name}.png"
        files[source_mask] = _encoded(forgery.source_mask, "PNG")
    return _written(root, files, number, forgery, mask, source_mask)


def write_defacto(root: Path, number: int, forgery: Forgery, **_: bool) -> Record:
    """Write one image in DEFACTO's layout: as TIFF, with its masks and its graph."""
    name = f"{number}_{Path(forgery.sources[0]).stem}"
    image = _encoded(forgery.pixels, "TIFF")
    if forgery.type is None:
        return _written(root, {f"authentic/{name}.tif": image}, number, forgery, None, None)
    part = _defacto_part(forgery)
    annotations = f"{part}_annotations"
    mask, source_mask = f"{annotations}/probe_mask/{name}.jpg", None
    files = {
        f"{part}_img/img/{name}.tif": image,
        mask: _encoded(forgery.mask, "JPEG"),
        f"{annotations}/graph/{name}.json": _graph(forgery),
    }
    if forgery.type is ManipulationType.INPAINTING:
        files[f"{annotations}/inpaint_mask/{name}.tif"] = _encoded(forgery.mask, "TIFF")
    if forgery.source_mask is not None:
        source_mask = f"{annotations}/donor_mask/{name}.tif"
        files[source_mask] = _encoded(forgery.source_mask, "TIFF")
    return _written(root, files, number, forgery, mask, source_mask)


WRITERS: Mapping[str, Callable[..., Record]] = {"folder": write_folder, "defacto": write_defacto}
"""The function that writes a forgery, by layout."""


def read_numbers(log: Path) -> set[int]:
    """Return the numbers of the images in `forgeries.jsonl`, and remove an incomplete last line from it."""
    if not log.exists():
        return set()
    complete = [line for line in log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    _write_atomically(log, b"".join(complete))
    return {json.loads(line)["number"] for line in complete}


def _defacto_part(forgery: Forgery) -> str:
    if forgery.type is ManipulationType.SPLICING:
        return "splicing_1"
    if forgery.type is ManipulationType.FACE:
        # DEFACTO has two kinds. Warps and retouching change a face in place, as a morph does.
        swapped = any(step.name == "face swap" for step in forgery.recipe)
        return "swapping" if swapped else "morphing"
    return str(forgery.type and forgery.type.value)


def _graph(forgery: Forgery) -> bytes:
    names = ["Ground Truth", *["Donor"] * (len(forgery.sources) - 1)]
    nodes = [
        {"Name": name, "Property": {"Path": source}}
        for name, source in zip(names, forgery.sources, strict=True)
    ]
    return json.dumps(nodes, ensure_ascii=False, indent=2).encode()


def _written(
    root: Path,
    files: Mapping[str, bytes],
    number: int,
    forgery: Forgery,
    mask: str | None,
    source_mask: str | None,
) -> Record:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(path, data)
    recipe = tuple(step.to_json() for step in forgery.recipe)
    return Record(number, next(iter(files)), mask, source_mask, forgery.type, forgery.sources, recipe)


def _write_atomically(path: Path, data: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _encoded(picture: NDArray[Any], image_format: str) -> bytes:
    if picture.dtype == bool:
        picture = np.where(picture, np.uint8(255), np.uint8(0))
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 95},
        "PNG": {"compress_level": 3},
        "TIFF": {"compression": "raw"},
    }
    file = BytesIO()
    PIL.Image.fromarray(picture).save(file, image_format, **options[image_format])
    return file.getvalue()
