#!/usr/bin/env python
"""Make a validation set of forgeries by other software, and measure a bundle on it.

    benchmarks/referee.py make --photos DIR --objects DIR --object-masks DIR --out SET [--taef2 DIR]
    benchmarks/referee.py measure SET [--bundle model]

The network is trained on forgeries of `tamperscope.synthesis`. A gain on those can be a gain in recognising
that one maker. These forgeries come from G'MIC, GIMP, enblend and the decoder of a diffusion model. The
synthesis uses none of them. Do not train on the set or on its photos.

`make --for-training` makes a set to train on, from the photos that are not held out. Choose the makers with
`--maker`: those that were trained on are no referees any more.

`make` needs the Debian packages gmic, gimp and enblend. `--photos` are the hosts: photos that no training
used. `--objects` and `--object-masks` are a photo library and its masks. `make` takes their held-out part for
the outlines of what is removed, and for the objects that are pasted. `--taef2` is a folder with the files
taef2_encoder.pth and taef2_decoder.pth of https://github.com/madebyollin/taesd. Without it there is no
`ai-fill`.

Each forgery has a twin: its host, saved in the same way. Each pair has three histories: `lossless`,
`jpeg-90`, and `messenger` (scaled to 60 to 85 %, then JPEG 75). The set has the layout `folder` of
`tamperscope.datasets`, with one folder for each maker and history. An image depends on the seed, its maker,
its number and the version of the software. `make` continues an incomplete set. Seam carving is left out: it
moves most pixels, so it has no exact mask.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import click
import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from tamperscope.datasets import read_dataset
from tamperscope.datasets.reading import Problem
from tamperscope.detector import Detector
from tamperscope.evaluation.benchmark import Journal, Task, run
from tamperscope.evaluation.measurement import Measurement
from tamperscope.evaluation.metrics import roc_auc
from tamperscope.images import read_image
from tamperscope.synthesis import PhotoLibrary
from tamperscope.synthesis.photos import Photo

ROOT = Path(__file__).parents[1]
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

HISTORIES = ("lossless", "jpeg-90", "messenger")
SMALLEST_SIDE, LARGEST_SIDE = 512, 1400
"""Sides in pixels of a host."""
CHANGED = 2
"""Grey levels by which a manipulated pixel must differ from its twin. A feathered edge ends below it."""
AT_ONCE = 6
"""Images that one run of GIMP makes, because GIMP takes longer to start than to edit."""
TIMEOUT = 1200
"""Seconds after which a program is stopped."""

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Order:
    """One forgery to be made. Programs exchange files in `folder`."""

    folder: Path
    host: Pixels
    """(height, width, 3) uint8 RGB."""
    region: Mask
    """(height, width) bool: what to remove, cover or retouch; where the pasted object goes."""
    object: Pixels
    """(rows, columns, 4) uint8 RGBA of the smallest box around `region`: an object of another photo."""
    surroundings: Pixels
    """(height, width, 3) uint8 RGB: the other photo, moved to where its object lies on `region`."""
    rng: np.random.Generator

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height in pixels of the smallest box around the region."""
        left, top, width, height = cv2.boundingRect(self.region.view(np.uint8))
        return left, top, width, height

    @property
    def around(self) -> tuple[slice, slice]:
        """The part of the host that a filling may look at."""
        left, top, width, height = self.box
        reach = max(96, max(width, height) // 2)
        return (
            slice(max(top - reach, 0), top + height + reach),
            slice(max(left - reach, 0), left + width + reach),
        )


@dataclass(frozen=True)
class Maker:
    """A program, or one of its tools."""

    type: str
    """Manipulation type of what it makes."""
    area: tuple[float, float]
    """Least and most area of a region, as a share of the image."""
    make: Callable[[Sequence[Order]], None]
    """Writes `forged.png` into each order's folder. It may also write `mask.png`, and its own JPEG files
    `forged.jpg` and `twin.jpg`.
    """


@click.group(help=__doc__.partition("\n")[0])
def main() -> None:
    cv2.setNumThreads(1)


@main.command()
@click.option("--photos", type=FOLDER, required=True)
@click.option("--objects", type=FOLDER, required=True)
@click.option("--object-masks", type=FOLDER, required=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--taef2", type=FOLDER, help="Folder with the two files of the autoencoder.")
@click.option("--count", default=60, show_default=True, type=click.IntRange(1), help="Forgeries per maker.")
@click.option("--maker", "chosen", multiple=True, help="Make only these; may be repeated.")
@click.option("--for-training", is_flag=True, help="Take only photos that are not held out.")
@click.option("--seed", default=19, show_default=True)
def make(
    photos: Path,
    objects: Path,
    object_masks: Path,
    out: Path,
    taef2: Path | None,
    count: int,
    chosen: Sequence[str],
    for_training: bool,
    seed: int,
) -> None:
    """Make the set, or what is missing from it."""
    available = makers(taef2)
    if unknown := set(chosen) - available.keys():
        raise click.UsageError(f"There is no maker {min(unknown)}; choose from {', '.join(available)}.")
    if absent := [name for name in ("gmic", "gimp", "enblend") if not shutil.which(name)]:
        raise click.UsageError(f"Not installed: {', '.join(absent)}.")
    hosts = PhotoLibrary.open(photos, held_out=False if for_training else None).photos
    donors = PhotoLibrary.open(objects, object_masks, held_out=not for_training).photos
    outlines = [(photo, path) for photo in donors for path in photo.object_masks]
    if not outlines:
        raise click.UsageError(f"No such photo in {objects} has a mask in {object_masks}.")
    for name in chosen or available:
        made = _recorded(out, name)
        missing = [number for number in range(count) if number not in made]
        for first in range(0, len(missing), AT_ONCE):
            numbers = missing[first : first + AT_ONCE]
            _make(name, available[name], numbers, hosts, outlines, out, seed)
            click.echo(f"{name}: {numbers[-1] + 1} of {count}")


@main.command()
@click.argument("set_folder", metavar="SET", type=FOLDER)
@click.option("--bundle", type=FOLDER, default=ROOT / "model")
@click.option(
    "--journal", type=click.Path(dir_okay=False, path_type=Path), help="[default: SET/journal.jsonl]"
)
@click.option("--count", type=click.IntRange(1), help="Forgeries and twins of each folder; all by default.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
def measure(set_folder: Path, bundle: Path, journal: Path | None, count: int | None, workers: int) -> None:
    """Print F1 at the bundle's threshold and image AUC, by maker and history."""
    samples = sorted(read_dataset(set_folder).samples, key=lambda sample: (sample.image.stem, sample.set))
    kept = [sample for sample in samples if count is None or int(sample.image.stem) < count]
    detector = Detector.load(bundle)
    found: list[Measurement] = []
    for each in run(
        detector, [Task(sample) for sample in kept], Journal(journal or set_folder / "journal.jsonl"), workers
    ):
        if isinstance(each, Problem):
            click.echo(f"{each.path.name} is skipped: {each.reason}", err=True)
        else:
            found.append(each)
    click.echo(table(found))


def makers(taef2: Path | None) -> dict[str, Maker]:
    """Return the makers by name."""
    removal = 0.004, 0.08
    found = {
        "gmic-matchpatch": Maker("inpainting", removal, _each(lambda order: _gmic(order, _MATCHPATCH))),
        "gmic-inpaint": Maker("inpainting", removal, _each(lambda order: _gmic(order, _INPAINT))),
        "gmic-pde": Maker("inpainting", (0.002, 0.02), _each(lambda order: _gmic(order, _PDE))),
        "gimp-clone": Maker("copymove", removal, lambda orders: _gimp(orders, _clone)),
        "gimp-heal": Maker("inpainting", (0.002, 0.02), lambda orders: _gimp(orders, _heal)),
        "gimp-composite": Maker("splicing", (0.01, 0.2), lambda orders: _gimp(orders, _composite)),
        "enblend": Maker("splicing", (0.01, 0.2), _each(_enblend)),
    }
    if taef2:
        found["ai-fill"] = Maker("inpainting", removal, _each(lambda order: _ai_fill(order, taef2)))
    return found


def table(found: Sequence[Measurement]) -> str:
    """Return a Markdown table with a row per maker, and a column per history and metric."""
    names = sorted({each.set.rpartition("_")[0] for each in found})
    heads = [f"{metric}, {history}" for history, metric in product((*HISTORIES, "all"), ("F1", "image AUC"))]
    lines = [f"| maker | pairs | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for name in (*names, "all"):
        of_maker = [each for each in found if name in ("all", each.set.rpartition("_")[0])]
        cells = [f"{sum(each.forged for each in of_maker) / len(HISTORIES):.0f}"]
        for history in (*HISTORIES, "all"):
            part = [each for each in of_maker if history in ("all", each.set.rpartition("_")[2])]
            f1s = [each.f1 for each in part if each.f1 is not None]
            auc = roc_auc([each.score for each in part], [each.forged for each in part])
            cells += [f"{np.mean(f1s):.3f}" if f1s else "–", f"{auc:.3f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _recorded(out: Path, maker: str) -> set[int]:
    """Return the numbers of the forgeries that are there in all histories."""
    found = []
    for history in HISTORIES:
        path = out / f"{maker}_{history}" / "forgeries.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        files = (Path(json.loads(line)["file"]) for line in lines)
        found.append({int(file.stem) for file in files if file.parent.name == "images"})
    return set.intersection(*found)


def _make(
    name: str,
    maker: Maker,
    numbers: Iterable[int],
    hosts: Sequence[Photo],
    outlines: Sequence[tuple[Photo, Path]],
    out: Path,
    seed: int,
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        orders, sources = {}, {}
        for number in numbers:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
            order = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(len(hosts))
            photo = hosts[order[number % len(hosts)]]
            donor, outline = outlines[rng.integers(len(outlines))]
            folder = Path(scratch, str(number))
            folder.mkdir()
            orders[number] = _order(folder, photo, donor, outline, maker.area, rng)
            sources[number] = [photo.name, donor.name] if maker.type == "splicing" else [photo.name]
            _write(folder / "host.png", orders[number].host)
        maker.make(tuple(orders.values()))
        for number, order in orders.items():
            _publish(order, name, number, maker.type, sources[number], out)


def _order(
    folder: Path,
    photo: Photo,
    donor: Photo,
    outline: Path,
    area: tuple[float, float],
    rng: np.random.Generator,
) -> Order:
    pixels = read_image(photo.path).pixels
    height, width = (
        int(min(side, np.exp(rng.uniform(np.log(SMALLEST_SIDE), np.log(LARGEST_SIDE))))) // 8 * 8
        for side in pixels.shape[:2]
    )
    # A window keeps the JPEG grid of its photo.
    top, left = (
        int(rng.integers(0, (whole - side) // 8 + 1)) * 8
        for whole, side in zip(pixels.shape[:2], (height, width), strict=True)
    )
    host = np.ascontiguousarray(pixels[top : top + height, left : left + width])
    donor_pixels = read_image(donor.path).pixels
    drawn = read_image(outline).pixels[..., 0] > 127
    left, top, columns, rows = cv2.boundingRect(drawn.view(np.uint8))
    share = np.exp(rng.uniform(*np.log(area)))
    scale = np.sqrt(share * height * width / drawn.sum())
    scale = min(scale, 0.8 * height / rows, 0.8 * width / columns)
    x, y = (
        rng.uniform(0.05 * whole, 0.95 * whole - scale * side)
        for whole, side in ((width, columns), (height, rows))
    )
    move = np.array([[scale, 0, x - scale * left], [0, scale, y - scale * top]])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    if scale < 1:
        # An affine map does not average the pixels that it skips.
        donor_pixels = cv2.resize(donor_pixels, None, fx=scale, fy=scale, interpolation=smooth)
        factors = donor_pixels.shape[1] / drawn.shape[1], donor_pixels.shape[0] / drawn.shape[0]
        shift = np.array([[scale / factors[0], 0, move[0, 2]], [0, scale / factors[1], move[1, 2]]])
    else:
        shift = move
    surroundings = cv2.warpAffine(
        donor_pixels, shift, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    region = cv2.warpAffine(255 * drawn.view(np.uint8), move, (width, height), flags=cv2.INTER_LINEAR) > 127
    left, top, columns, rows = cv2.boundingRect(region.view(np.uint8))
    box = np.s_[top : top + rows, left : left + columns]
    piece = np.dstack([surroundings[box], 255 * region[box].astype(np.uint8)])
    return Order(folder, host, region, piece, surroundings, rng)


def _publish(order: Order, name: str, number: int, kind: str, sources: Sequence[str], out: Path) -> None:
    made = order.folder / "forged.png"
    if not made.exists():
        click.echo(f"{name}: {number} is left out, because the program failed", err=True)
        return
    forged = read_image(made).pixels
    drawn = order.folder / "mask.png"
    mask = (
        read_image(drawn).pixels[..., 0] > 127
        if drawn.exists()
        else changed(order.host, forged, order.region)
    )
    if not mask.any():
        click.echo(f"{name}: {number} is left out, because nothing changed", err=True)
        return
    height, width = mask.shape
    factor = order.rng.uniform(0.6, 0.85)
    small = int(width * factor), int(height * factor)
    for history in HISTORIES:
        folder = out / f"{name}_{history}"
        suffix = ".png" if history == "lossless" else ".jpg"
        truth = mask
        if history == "messenger":
            truth = cv2.resize(mask.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0.5
        for part, own, pixels in (("images", "forged.jpg", forged), ("authentic", "twin.jpg", order.host)):
            path = folder / part / f"{number:04}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            written = order.folder / own
            if history == "lossless":
                _write(path, pixels)
            elif history == "messenger":
                scaled = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
                PIL.Image.fromarray(scaled).save(path, quality=75)
            elif written.exists():
                shutil.copyfile(written, path)
            else:
                PIL.Image.fromarray(pixels).save(path, quality=90)
        (folder / "masks").mkdir(exist_ok=True)
        _write(folder / "masks" / f"{number:04}.png", 255 * truth.astype(np.uint8))
        with (folder / "forgeries.jsonl").open("a", encoding="utf-8") as lines:
            # A split keeps images of the same sources together, and so a forgery and its twin.
            for part, its_type in (("authentic", None), ("images", kind)):
                record = {"file": f"{part}/{number:04}{suffix}", "type": its_type, "sources": sources}
                lines.write(json.dumps(record) + "\n")


def changed(twin: Pixels, forged: Pixels, region: Mask) -> Mask:
    """Return the pixels that differ by more than `CHANGED`, and the inside of the region.

    All arguments have the same height and width. A program rewrites the whole region, and also a margin whose
    width is its own choice.
    """
    different = cv2.absdiff(twin, forged).max(axis=2) > CHANGED
    closed = cv2.morphologyEx(different.view(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    inside = cv2.erode(region.view(np.uint8), np.ones((5, 5), np.uint8))
    return np.asarray((closed | inside) > 0)


def _write(path: Path, pixels: Pixels) -> None:
    PIL.Image.fromarray(pixels).save(path, compress_level=1)


def _each(make_one: Callable[[Order], None]) -> Callable[[Sequence[Order]], None]:
    def make_all(orders: Sequence[Order]) -> None:
        for order in orders:
            # A program that fails on a picture writes no forgery; see `_publish`.
            with suppress(subprocess.CalledProcessError):
                make_one(order)

    return make_all


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, timeout=TIMEOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# G'MIC: the region is filled from around it.

_MATCHPATCH = ("inpaint_matchpatch[0]", "[1]")
_INPAINT = ("inpaint[0]", "[1],11,22,0.5,1,5")
_PDE = ("inpaint_pde[0]", "[1]")


def _gmic(order: Order, command: Sequence[str]) -> None:
    _write(order.folder / "forged.png", _filled(order, command))


def _filled(order: Order, command: Sequence[str]) -> Pixels:
    """Return the host with its region filled by a command of G'MIC."""
    around = order.around
    hole = cv2.dilate(order.region.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    image, mask, result = (order.folder / f"{name}.png" for name in ("image", "hole", "filled"))
    _write(image, np.ascontiguousarray(order.host[around]))
    _write(mask, np.ascontiguousarray(255 * hole[around].astype(np.uint8)))
    _run("gmic", image, mask, *command, "output[0]", result)
    filled = order.host.copy()
    filled[around] = np.where(hole[around][..., None], read_image(result).pixels, order.host[around])
    return filled


# GIMP: a script in Scheme for several images.


def _gimp(orders: Sequence[Order], edit: Callable[[Order], str]) -> None:
    script = "".join(_gimp_script(order, edit(order)) for order in orders)
    _run("gimp", "-i", "-f", "-b", script, "-b", "(gimp-quit 1)")


def _gimp_script(order: Order, edit: str) -> str:
    host, forged, forged_jpeg, twin_jpeg = (
        json.dumps(str(order.folder / name)) for name in ("host.png", "forged.png", "forged.jpg", "twin.jpg")
    )
    jpeg = '0.9 0 1 0 "" 2 1 0 0'
    return f"""
    (let* ((image (car (gimp-file-load 1 {host} {host}))) (layer (car (gimp-image-get-active-layer image))))
      (gimp-context-set-defaults)
      (file-jpeg-save 1 image layer {twin_jpeg} {twin_jpeg} {jpeg})
      {edit}
      (set! layer (car (gimp-image-flatten image)))
      (file-png-save 1 image layer {forged} {forged} 0 1 0 0 0 0 0)
      (file-jpeg-save 1 image layer {forged_jpeg} {forged_jpeg} {jpeg})
      (gimp-image-delete image))"""


def _clone(order: Order) -> str:
    return _painted(order, "gimp-clone layer source 0", 0.3)


def _heal(order: Order) -> str:
    return _painted(order, "gimp-heal layer source", 0.4)


def _painted(order: Order, tool: str, width: float) -> str:
    """Return a stroke back and forth over the region, with a brush of a share `width` of its shorter side."""
    _, top, columns, rows = order.box
    brush = max(min(columns, rows) * width, 12.0)
    points: list[tuple[float, float]] = []
    for turn, y in enumerate(np.arange(top + brush / 3, top + rows, brush / 2)):
        inside = np.flatnonzero(order.region[min(int(y), len(order.region) - 1)])
        if len(inside):
            ends = (float(inside[0]), float(y)), (float(inside[-1]), float(y))
            points += ends if turn % 2 == 0 else ends[::-1]
    x, y = _similar_place(order)
    start = points[0][0] + x, points[0][1] + y
    coordinates = " ".join(f"{value:.1f}" for point in points for value in point)
    hardness = order.rng.choice([25, 50, 75, 100])
    return f"""
      (let ((source (car (gimp-layer-copy layer 0))))
        (gimp-image-insert-layer image source 0 1)
        (gimp-context-set-brush "2. Hardness {hardness:03}")
        (gimp-context-set-brush-size {brush:.1f})
        ({tool} {start[0]:.1f} {start[1]:.1f} {2 * len(points)} #({coordinates})))"""


def _similar_place(order: Order) -> tuple[int, int]:
    """Return the shift to the place that a careful person would copy from: one with a similar border."""
    left, top, columns, rows = order.box
    height, width = order.region.shape
    grown = cv2.dilate(order.region.view(np.uint8), np.ones((9, 9), np.uint8)) > 0
    ys, xs = np.nonzero(grown & ~order.region)
    border = order.host[ys, xs].astype(np.float32)
    best, least = (columns if left + 2 * columns < width else -columns, 0), np.inf
    for _ in range(300):
        x = int(order.rng.integers(-left, width - left - columns + 1))
        y = int(order.rng.integers(-top, height - top - rows + 1))
        if abs(x) < 0.7 * columns and abs(y) < 0.7 * rows:
            continue
        there = order.host[(ys + y).clip(0, height - 1), (xs + x).clip(0, width - 1)]
        # A nearby place has the same light.
        cost = float(np.abs(border - there).mean()) * (1 + 0.5 * np.hypot(x / width, y / height))
        if cost < least:
            best, least = (x, y), cost
    return best


def _composite(order: Order) -> str:
    path = order.folder / "object.png"
    _write(path, order.object)
    left, top, columns, rows = order.box
    rng, quoted = order.rng, json.dumps(str(path))
    # The object comes at another size, and is resampled by GIMP.
    factor = rng.choice([0.7, 1.4])
    resized = cv2.resize(
        order.object,
        None,
        fx=factor,
        fy=factor,
        interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC,
    )
    _write(path, resized)
    tools = []
    if rng.random() < 0.6:
        brightness, contrast = rng.uniform(-0.12, 0.12, 2)
        tools.append(f"(gimp-drawable-brightness-contrast object {brightness:.3f} {contrast:.3f})")
    if rng.random() < 0.6:
        hue, saturation = rng.uniform(-8, 8), rng.uniform(-25, 15)
        tools.append(f"(gimp-drawable-hue-saturation object 0 {hue:.1f} 0 {saturation:.1f} 0)")
    if rng.random() < 0.4:
        tools.append(
            f"(plug-in-unsharp-mask 1 image object {rng.uniform(0.6, 2):.2f} {rng.uniform(0.2, 0.7):.2f} 0)"
        )
    return f"""
      (let* ((object (car (gimp-file-load-layer 1 image {quoted}))) (cut 0))
        (gimp-image-insert-layer image object 0 0)
        (gimp-context-set-interpolation 2)
        (gimp-layer-scale object {columns} {rows} 0)
        (gimp-layer-set-offsets object {left} {top})
        {" ".join(tools)}
        (gimp-image-select-item image 2 object)
        (gimp-selection-shrink image 1)
        (gimp-selection-feather image {rng.uniform(0.5, 4):.1f})
        (set! cut (car (gimp-layer-create-mask object 4)))
        (gimp-layer-add-mask object cut)
        (gimp-selection-none image))"""


# Enblend: the seam runs in a band around the outline, and each frequency is blended at its own width.


def _enblend(order: Order) -> None:
    reach = max(int(0.06 * min(order.box[2:])), 4)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    outer = cv2.dilate(order.region.view(np.uint8), kernel)
    inner = cv2.erode(order.region.view(np.uint8), kernel)
    layers = [(order.folder / "background.tif", order.host, inner == 0)]
    layers.append((order.folder / "object.tif", order.surroundings, outer > 0))
    for path, pixels, opaque in layers:
        PIL.Image.fromarray(np.dstack([pixels, 255 * opaque.astype(np.uint8)])).save(path)
    blended = order.folder / "blended.tif"
    seams = order.folder / "seam-%n.tif"
    _run("enblend", "--levels=4", f"--save-masks={seams}", "-o", blended, *(path for path, _, _ in layers))
    _write(order.folder / "forged.png", read_image(blended).pixels[..., :3])
    seam = next(iter(sorted(order.folder.glob("seam-*.tif"))))
    with PIL.Image.open(seam) as picture:
        weight = np.asarray(picture.convert("L")) > 127
    # A seam mask is white where its own layer, the first or the second, is taken.
    centre = weight[inner > 0]
    _write(order.folder / "mask.png", 255 * (weight == (centre.mean() > 0.5)).astype(np.uint8))


# A diffusion model's decoder: what every picture of such a model has passed through.


def _ai_fill(order: Order, weights: Path) -> None:
    """Fill the region, and pass it through the autoencoder as inpainting with a diffusion model does."""
    filled = _filled(order, _MATCHPATCH)
    around = order.around
    redrawn = filled.copy()
    redrawn[around] = _autoencoded(np.ascontiguousarray(filled[around]), weights)
    grown = cv2.dilate(order.region.view(np.uint8), np.ones((7, 7), np.uint8)).astype(np.float32)
    opacity = cv2.GaussianBlur(grown, (0, 0), order.rng.uniform(0.5, 3))[..., None]
    _write(
        order.folder / "forged.png",
        np.rint(filled + opacity * (redrawn - filled.astype(np.float32))).astype(np.uint8),
    )


def _autoencoded(pixels: Pixels, weights: Path) -> Pixels:
    import torch

    height, width = pixels.shape[:2]
    padded = cv2.copyMakeBorder(pixels, 0, -height % 8, 0, -width % 8, cv2.BORDER_REFLECT)
    image = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        latent = _layers(image, _tensors(weights / "taef2_encoder.pth"), decode=False)
        decoded = _layers((latent / 3).tanh() * 3, _tensors(weights / "taef2_decoder.pth"), decode=True)
    found = (decoded[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(found[:height, :width])


@cache
def _tensors(path: Path):  # type: ignore[no-untyped-def]
    """Return the tensors of each layer, by number and then by name."""
    import torch

    layers: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in torch.load(path, map_location="cpu", weights_only=True).items():
        number, _, rest = name.partition(".")
        layers.setdefault(int(number), {})[rest] = tensor.float()
    return dict(sorted(layers.items()))


def _layers(features, layers, *, decode):  # type: ignore[no-untyped-def]
    """Run a half of the autoencoder: 3x3 convolutions and residual blocks, some with a global attention path.

    A convolution without a bias halves or doubles the sides.
    """
    from torch.nn import functional as f

    for number, tensors in layers.items():
        if "weight" in tensors:
            scales = "bias" not in tensors
            if scales and decode:
                features = f.interpolate(features, scale_factor=2)
            stride = 2 if scales and not decode else 1
            features = f.conv2d(features, tensors["weight"], tensors.get("bias"), stride=stride, padding=1)
            if decode and number == min(layers):
                features = f.relu(features)
            continue
        if "pool.0.weight" in tensors:
            path = f.conv2d(features, tensors["pool.0.weight"])
            path = f.relu(f.group_norm(path, 4, tensors["pool.1.weight"], tensors["pool.1.bias"]))
            features = features + f.conv2d(path, tensors["pool.3.weight"])
        inner = features
        for step in (0, 2, 4):
            inner = f.conv2d(inner, tensors[f"conv.{step}.weight"], tensors[f"conv.{step}.bias"], padding=1)
            inner = f.relu(inner) if step < 4 else inner
        features = f.relu(inner + features)
    return features


if __name__ == "__main__":
    main()
