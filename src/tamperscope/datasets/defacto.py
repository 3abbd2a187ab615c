"""DEFACTO: forgeries made automatically from MS COCO photos and from photos of faces.

G. Mahfoudi et al., "DEFACTO: Image and Face Manipulation Dataset", EUSIPCO 2019.

    splicing_1_img/img/0_000000195755.tif                        parts 1 to 7
    splicing_1_annotations/probe_mask/0_000000195755.jpg         what was manipulated
    splicing_1_annotations/donor_mask/0_000000195755.tif         not read
    splicing_1_annotations/graph/0_000000195755.json             every operation, with the photos that it used
    copymove_img/img/, copymove_annotations/
    inpainting_img/img/, inpainting_annotations/
    face_img/img/, face_annotations/

The parts may be in the root or further down, as in separate downloads, and doubled, as archives unpack them:
`splicing_1_img/splicing_1_img/img/`.

Quirks:
- Masks are JPEG files, so they are cut at half brightness.
- Some masks differ in size from their image and are skipped.
- A photo is identified by its twelve-digit COCO number. The file name has the number of the photo that was
  changed; the graph also has that of the photo that something was taken from. Photos of faces are not from
  COCO, so their sources are unknown.
- There are no authentic images. A plain folder of COCO photos can add them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tamperscope.datasets.reading import Problem, images_in, masks_in
from tamperscope.datasets.sample import Sample
from tamperscope.report import ManipulationType

_COCO_NUMBER = re.compile(r"(?<!\d)\d{12}(?!\d)")
_TYPES = {
    "splicing": ManipulationType.SPLICING,
    "copymove": ManipulationType.COPYMOVE,
    "inpainting": ManipulationType.INPAINTING,
    "face": ManipulationType.FACE,
    "morphing": ManipulationType.FACE,
    "swapping": ManipulationType.FACE,
}


def read(root: Path) -> Iterator[Sample | Problem]:
    """Yield the samples, part by part, sorted by name."""
    parts = list(_parts(root))
    annotations = {part.name: part for part in reversed(parts) if part.name.endswith("_annotations")}
    for part in parts:
        kind = _TYPES.get(part.name.split("_")[0])
        if kind and part.name.endswith("_img"):
            name = f"{part.name.removesuffix('_img')}_annotations"
            beside = part.with_name(name)
            found = beside if (beside / "probe_mask").is_dir() else annotations.get(name, beside)
            yield from _read_part(part, found, kind)


def _parts(folder: Path, depth: int = 4) -> Iterator[Path]:
    """Yield the folders that hold images or masks, sorted."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    if any(path.name in ("img", "probe_mask") for path in inside):
        yield folder
    elif depth:
        for path in inside:
            yield from _parts(path, depth - 1)


def _read_part(part: Path, annotations: Path, kind: ManipulationType) -> Iterator[Sample | Problem]:
    images = images_in(part / "img")
    masks = masks_in(annotations / "probe_mask", images)
    for image in images:
        if mask := masks.get(image.stem):
            graph = annotations / "graph" / f"{image.stem}.json"
            yield Sample("defacto", image, mask, kind, _sources(image, graph))
        else:
            yield Problem(image, f"There is no mask for this image in {annotations.name}/probe_mask.")


def _sources(image: Path, graph: Path) -> tuple[str, ...]:
    text = graph.read_text(encoding="utf-8", errors="replace") if graph.is_file() else ""
    numbers = sorted({*_COCO_NUMBER.findall(image.stem), *_COCO_NUMBER.findall(text)})
    return tuple(f"coco/{number}" for number in numbers)
