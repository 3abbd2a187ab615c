"""Fit the weights of the search for copies: which pairs are copies, and which region of a pair was pasted.

    python benchmarks/fit_clones.py --photos DIR [--object-masks DIR] [--authentic DIR ...]

Copies come from copy-moves made of the photos. Lookalikes come from the same images, from the photos as they
are, from the pictures in the `--authentic` folders as they are sent (scaled, as PNG or JPEG), and from
writing drawn into photos and onto plain ground. Take pictures that repeat by themselves: facades, shelves,
text, receipts.

Prints the terms of `evidence/clones/proof.py` with their weights, the intercept for the wanted rate of false
alarms, what share of the copies is kept at other rates (eight-fold cross-validation by image), and the
weights of `evidence/clones/direction.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields
from io import BytesIO
from pathlib import Path

import click
import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

import tamperscope
from tamperscope.cores import leave_blas_one_thread
from tamperscope.errors import ImageError
from tamperscope.evidence.clones import proof
from tamperscope.evidence.clones.direction import Traces, compare
from tamperscope.evidence.clones.measurement import verified_pairs, within_budget
from tamperscope.evidence.clones.verification import Mask, RepeatedRegions
from tamperscope.images import IMAGE_SUFFIXES, Image, read_image
from tamperscope.report import ManipulationType
from tamperscope.synthesis import Mix, PhotoLibrary, forge

COPY_MOVES = Mix(authentic=0.0, types={ManipulationType.COPYMOVE: 1.0})
FORGED_SIZES = (320, 384, 512, 640, 896, 1024)
MEGAPIXELS = (0.15, 0.3, 0.5, 0.8, 1.2, 2.0)
QUALITIES = (95, 90, 85, 80, 75, 70)
FONTS = sorted((Path(tamperscope.__file__).parent / "documents" / "fonts").glob("*.ttf"))
TEXTS = (
    "the price of a table in the room",
    "0123 4567 8890 1122 3344",
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<",
    "€ 2.99   € 2.99   € 2.99",
)
COVERED = 0.6
"""Share of a region that must have been copied, or be a copy, to count as found."""
APART = 0.2
"""Largest share of a lookalike that may have been copied."""
FOLDS = 8
NEVER = -50.0
"""Log-odds of an image without any proved pair."""


@dataclass(frozen=True)
class Task:
    """One image to search: of a `photo`, `sent`, `forged`, or with `drawn` writing."""

    kind: str
    number: int
    file: Path | None = None


@dataclass(frozen=True)
class Pair:
    """Two regions that an image repeats."""

    copied: bool
    terms: tuple[float, ...]
    traces: Traces | None
    """None for a lookalike."""
    pasted: int
    """1 if the target is the copy, -1 if the source is, 0 if neither or both are."""


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--object-masks", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--authentic", type=click.Path(exists=True, file_okay=False, path_type=Path), multiple=True)
@click.option("--variants", default=3, show_default=True, help="Files made of each --authentic picture.")
@click.option("--forged", default=900, show_default=True, help="Copy-moves to make.")
@click.option("--drawn", default=400, show_default=True, help="Images with drawn writing to make.")
@click.option("--every", default=2, show_default=True, help="Use one photo in so many as it is.")
@click.option("--false-alarms", default=0.005, show_default=True, help="Share of authentic images to accept.")
@click.option("--workers", default=2, show_default=True)
def main(
    photos: Path,
    object_masks: Path | None,
    authentic: tuple[Path, ...],
    variants: int,
    forged: int,
    drawn: int,
    every: int,
    false_alarms: float,
    workers: int,
) -> None:
    tasks = [Task("photo", number, file) for number, file in enumerate(pictures(photos)[::every])]
    sent = [file for folder in authentic for file in pictures(folder)]
    tasks += [Task("sent", number, file) for number, file in enumerate(sent * variants)]
    tasks += [Task("forged", number) for number in range(forged)]
    tasks += [Task("drawn", number) for number in range(drawn)]
    stderr = Console(stderr=True)
    with ProcessPoolExecutor(workers, initializer=start, initargs=(photos, object_masks)) as pool:
        examined = pool.map(examine, tasks, chunksize=8)
        progress = track(examined, total=len(tasks), console=stderr, disable=not stderr.is_terminal)
        found = list(zip(tasks, progress, strict=True))
    fit_strength(found, false_alarms)
    fit_direction([pair for _, pairs in found for pair in pairs if pair.copied and pair.pasted])


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)


# Images


def start(photos: Path, object_masks: Path | None) -> None:
    cv2.setNumThreads(1)
    leave_blas_one_thread()
    library.photos = photos, object_masks  # type: ignore[attr-defined]


@functools.cache
def library() -> PhotoLibrary:
    photos, object_masks = library.photos  # type: ignore[attr-defined]
    return PhotoLibrary.open(photos, object_masks)


def examine(task: Task) -> list[Pair]:
    rng = np.random.default_rng([len(task.kind), task.number])
    try:
        if task.kind == "forged":
            return list(pairs_of_forgery(task.number, rng))
        if task.kind == "drawn":
            image = as_sent(with_writing(random_photo(rng), rng), rng)
        elif task.kind == "sent":
            image = as_sent(scaled(read_image(task.file or b"").pixels, rng), rng)
        else:
            image = read_image(task.file or b"")
    except ImageError:
        return []
    return [Pair(False, terms, None, 0) for _, terms in candidates(image)]


def candidates(image: Image) -> Iterator[tuple[RepeatedRegions, tuple[float, ...]]]:
    pixels, gray = within_budget(image.pixels)
    for pair in [] if image.drawn else verified_pairs(image, pixels, gray):
        if (terms := proof.terms(pair, gray)) is not None:
            yield pair, terms


def pairs_of_forgery(number: int, rng: np.random.Generator) -> Iterator[Pair]:
    """Yield the pairs of a copy-move whose truth is clear, and the direction of each copy once."""
    forgery = forge(library(), np.random.default_rng([11, number]), FORGED_SIZES[number % 6], COPY_MOVES)
    published = forgery.data is not None and rng.random() < 0.5
    image = read_image(forgery.data) if published else as_sent(forgery.pixels, rng)
    copy, source = forgery.mask, forgery.source_mask
    assert source is not None
    seen: list[Mask] = []
    for pair, terms in candidates(image):
        regions = pair.source, pair.target
        involved = [(region & (copy | source)).sum() / region.sum() for region in regions]
        shares = [(region & copy).sum() / region.sum() for region in regions]
        if min(involved) > COVERED and max(shares) > 0.5:
            pasted = int(np.sign(shares[1] - shares[0])) if abs(shares[1] - shares[0]) > 0.5 else 0
            if any((pair.target & other).sum() > 0.5 * pair.target.sum() for other in seen):
                pasted = 0  # the same copy once more would count twice
            seen.append(pair.source | pair.target)
            traces = compare(image.pixels, pair.source, pair.target, pair.repetition.transform)
            yield Pair(True, terms, traces, pasted)
        elif max(involved) < APART:
            yield Pair(False, terms, None, 0)


def random_photo(rng: np.random.Generator) -> NDArray[np.uint8]:
    photos = library().photos
    pixels = library().pixels(photos[rng.integers(len(photos))])
    assert pixels is not None
    return scaled(pixels, rng)


def scaled(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = min(1.0, float(np.sqrt(rng.choice(MEGAPIXELS) * 1e6 / (height * width))))
    size = max(64, round(width * scale)), max(64, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def as_sent(pixels: NDArray[np.uint8], rng: np.random.Generator) -> Image:
    """Return pixels as a file that people send: one in four without loss, the others as JPEG."""
    file = BytesIO()
    if rng.random() < 0.25:
        PIL.Image.fromarray(pixels).save(file, "PNG")
    else:
        subsampling = int(rng.choice((0, 2)))
        PIL.Image.fromarray(pixels).save(
            file, "JPEG", quality=int(rng.choice(QUALITIES)), subsampling=subsampling
        )
    return read_image(file.getvalue())


def with_writing(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Write on a photo, on noisy paper or on a plain slide; half of them are photographed afterwards."""
    ground = rng.choice(("photo", "paper", "slide"), p=(0.4, 0.3, 0.3))
    if ground == "paper":
        shade = cv2.GaussianBlur(rng.normal(0, 180, photo.shape[:2]).astype(np.float32), (0, 0), 60)
        grain = rng.normal(0, rng.uniform(0, 4), photo.shape[:2])
        photo = np.repeat((rng.uniform(200, 245) + shade + grain).clip(0, 255)[..., None], 3, 2).astype(
            np.uint8
        )
    elif ground == "slide":
        down = np.linspace(0, 1, len(photo))[:, None, None]
        colours = rng.uniform(0, 255, (2, 3))
        photo = np.broadcast_to(colours[0] * (1 - down) + colours[1] * down, photo.shape).astype(np.uint8)
    sheet = PIL.Image.fromarray(photo)
    drawing = PIL.ImageDraw.Draw(sheet)
    font = PIL.ImageFont.truetype(
        FONTS[rng.integers(len(FONTS))], int(rng.integers(10, max(12, len(photo) // 12)))
    )
    colour = tuple(int(value) for value in rng.integers(0, 255, 3))
    lines = rng.integers(1, 4) if ground == "photo" else rng.integers(6, 25)
    text, step = TEXTS[rng.integers(len(TEXTS))], font.size * rng.choice((1.2, 1.5, 2.0))
    left, top = rng.integers(3, 40), rng.integers(3, max(4, len(photo) // 2))
    for line in range(lines):
        drawing.text((int(left), int(top + line * step)), text, colour, font)
    written = np.asarray(sheet)
    if rng.random() < 0.5:
        return written
    turn = cv2.getRotationMatrix2D(
        (sheet.width / 2, sheet.height / 2), rng.uniform(-3, 3), rng.uniform(1, 1.1)
    )
    seen = cv2.GaussianBlur(written, (0, 0), rng.uniform(0.4, 1.2))
    seen = cv2.warpAffine(seen, turn, sheet.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.clip(seen + rng.normal(0, rng.uniform(0.5, 5), seen.shape), 0, 255).astype(np.uint8)


# Fits


def fit_strength(found: list[tuple[Task, list[Pair]]], false_alarms: float) -> None:
    pairs = [(number, pair) for number, (_, of_image) in enumerate(found) for pair in of_image]
    with_copy = np.unique([number for number, pair in pairs if pair.copied])
    authentic = np.array([task.kind != "forged" for task, _ in found])
    print(
        f"{len(found)} images, {int(authentic.sum())} of them authentic; {len(pairs)} pairs, "
        f"{sum(pair.copied for _, pair in pairs)} of them copies, in {len(with_copy)} images"
    )
    # Without common noise, a pair has no strength, whatever its weights.
    proved = [(number, pair) for number, pair in pairs if proof.proved(pair.terms)]
    image = np.array([number for number, _ in proved])
    terms = np.array([pair.terms for _, pair in proved])
    copied = np.array([pair.copied for _, pair in proved])
    held_out = np.empty(len(copied))
    for fold in range(FOLDS):
        test = image % FOLDS == fold
        held_out[test] = with_ones(terms[test]) @ weighted(terms[~test], copied[~test])
    highest, of_copy = np.full((2, len(found)), NEVER)
    np.maximum.at(highest, image, held_out)
    np.maximum.at(of_copy, image[copied], held_out[copied])
    weights = weighted(terms, copied)
    print("false alarms  copy-moves kept  intercept")
    for rate in (0.002, 0.005, 0.01, 0.02, 0.05):
        limit = np.quantile(highest[authentic], 1 - rate)
        kept = (of_copy[with_copy] > limit).mean()
        print(f"{rate:12.1%}  {kept:15.3f}  {weights[-1] - limit:9.3f}")
    for name, weight in zip(proof.TERMS, weights, strict=False):
        print(f"  {name:18} {weight:7.3f}")
    kinds = [(f"{task.kind} {task.file.parent.name if task.file else ''}".strip()) for task, _ in found]
    limit = np.quantile(highest[authentic], 1 - false_alarms)
    for kind in sorted(set(kinds)):
        of_kind = np.array([each == kind for each in kinds])
        print(f"  {kind:28} {int(of_kind.sum()):5} images, {(highest[of_kind] > limit).mean():.3f} above it")


def weighted(terms: NDArray[np.float64], copied: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights and intercept of a logistic regression in which both classes weigh the same."""
    centre, spread = terms.mean(0), terms.std(0)
    share = copied.mean()
    importance = np.where(copied, 0.5 / share, 0.5 / (1 - share))
    weights = logistic(with_ones((terms - centre) / spread), np.where(copied, 1, -1), importance, penalty=3.0)
    plain = weights[:-1] / spread
    return np.append(plain, weights[-1] - plain @ centre)


def with_ones(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([terms, np.ones(len(terms))])


def fit_direction(pairs: list[Pair]) -> None:
    traces = np.array([astuple(pair.traces) for pair in pairs if pair.traces])
    truth = np.array([pair.pasted for pair in pairs])
    held_out = np.arange(len(pairs)) % 5 == 0
    weights = logistic(traces[~held_out], truth[~held_out])
    right = float((np.sign(traces[held_out] @ weights) == truth[held_out]).mean())
    print(f"direction: right for {right:.1%} of {held_out.sum()} held-out pairs")
    for field, weight in zip(fields(Traces), weights, strict=True):
        print(f"  {field.name:18} {weight:7.3f}")


def logistic(
    terms: NDArray[np.float64],
    truth: NDArray[np.int_],
    importance: NDArray[np.float64] | float = 1.0,
    penalty: float = 0.02,
) -> NDArray[np.float64]:
    """Return the weights of a logistic regression, `truth` being 1 or -1, by Newton's method."""
    weights = np.zeros(terms.shape[1])
    ridge = penalty * np.eye(len(weights))
    for _ in range(50):
        probability = 1 / (1 + np.exp(-terms @ weights))
        gradient = terms.T @ (importance * (probability - (truth > 0))) + ridge @ weights
        curvature = (terms * (importance * probability * (1 - probability))[:, None]).T @ terms + ridge
        weights = weights - np.linalg.solve(curvature, gradient)
    return weights


if __name__ == "__main__":
    main()
