"""Turn a trained joint network into a release bundle: export, 8-bit graph, threshold and calibration.

held_out = PhotoLibrary.open(photos, held_out=True)
release(Path("runs/joint/best.pth"), held_out, Path("model-mine"))
calibrate(Path("model-imported"), held_out)       # an existing bundle, such as an imported pair
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from tamperscope.bundle import Bundle, Preprocessing, write_manifest
from tamperscope.calibration import LOG_STEP, Calibration
from tamperscope.detector import Detector, verified_copies
from tamperscope.errors import CheckpointError, ImageError
from tamperscope.evaluation import metrics
from tamperscope.feedback import CorrectedAnalysis, Truth
from tamperscope.images import Image, read_image
from tamperscope.images.kind import FileKind
from tamperscope.inference.regions import Candidates, candidates
from tamperscope.network.architectures import build
from tamperscope.network.checkpoints import read_weights
from tamperscope.network.export import write_network
from tamperscope.network.quantisation import normalised_tile, quantise
from tamperscope.network.start import mean_with
from tamperscope.report import ManipulationType, Report
from tamperscope.synthesis import Forgery, PhotoLibrary, forge
from tamperscope.training.calibration import fit

SIZES = {256: 0.15, 320: 0.17, 384: 0.17, 512: 0.16, 640: 0.11, 768: 0.1, 1024: 0.09, 1448: 0.05}
"""Sides in pixels of the held-out images, with their shares: typical sizes of photos on the web and from
messengers.
"""
THRESHOLDS = tuple(np.arange(0.05, 0.96, 0.05).round(2).tolist())
SMALLEST_REGIONS = (0.0075, 0.01, 0.0125)
"""Candidate values, in shares of the image, for the smallest region that `outline` marks.

Real authentic photos have smaller false regions than synthesised images, so calibration on synthesised images
is not offered smaller values.
"""
KEPT_F1 = 0.98
"""Share of the best mean F1 that the chosen cut must keep."""
_QUANTISED_OVER = 100
_NAME = "tamperscope-joint"


class Cut(NamedTuple):
    """How a heatmap becomes a mask."""

    threshold: float
    smallest_region: float


@dataclass(frozen=True, eq=False)
class Seen:
    """The parts of a held-out example's report that calibration needs."""

    heatmap: NDArray[np.float16]
    """(height, width) float16, 0 to 1."""
    copies: NDArray[np.bool_] | None
    """(height, width) bool, True in verified copies."""
    type: ManipulationType | None
    measurements: Mapping[str, float]
    kind: FileKind
    marks: bool = True
    """Whether the score of the whole picture supports marking regions in it."""

    @classmethod
    def of(cls, report: Report, kind: FileKind) -> Seen:
        """Return the needed parts of the report on a file of `kind`."""
        return cls(
            report.heatmap.astype(np.float16),
            verified_copies(report.evidence),
            report.type,
            report.measurements,
            kind,
        )

    def candidates(self, threshold: float) -> Candidates:
        """Return the regions that may be marked at a threshold."""
        heatmap = self.heatmap if self.marks else np.zeros_like(self.heatmap)
        return candidates(heatmap.astype(np.float32), threshold, self.copies if self.marks else None)

    def mask(self, cut: Cut) -> NDArray[np.bool_]:
        """Return the mask of a cut, (height, width) bool."""
        return self.candidates(cut.threshold).mask(cut.smallest_region)


@dataclass(frozen=True)
class HeldOutMetrics:
    """Metrics of a bundle at its own threshold, on images made from held-out photos."""

    forged: int
    authentic: int
    threshold: float
    smallest_region: float
    f1: float
    iou: float
    type_accuracy: float
    auc: float
    marked_authentic: float
    corrections: int = 0
    """How many corrections the calibration used."""
    corrections_before: int = 0
    """How many of them the previous calibration judged right."""
    corrections_after: int = 0
    """How many of them the new one judges right."""


def release(
    weights: Path,
    held_out: PhotoLibrary,
    out: Path,
    authentic: Sequence[Path] = (),
    *,
    start: Path | None = None,
    share: float = 1.0,
    version: str = "1.0.0",
    count: int = 1000,
    seed: int = 2,
    console: Console | None = None,
) -> HeldOutMetrics:
    """Write the bundle `out` from the joint network in `weights`, and calibrate it.

    Args:
        weights: Checkpoint of a joint network, written by a training run.
        held_out: Photos that training did not see.
        out: Folder of the bundle. A README.md in it, the model card, is kept and becomes part of the bundle.
        authentic: Authentic files that training did not see; see `calibrate`.
        start: Bundle or checkpoint with which the weights are averaged, usually that from which training
            started; None to release the weights themselves.
        share: Share of `weights` in that mean, 0 to 1.
        version: Version of the bundle.
        count: Number of images to make. Threshold, calibration and the 8-bit ranges come from them.
        seed: Seed of the images made.
        console: Where progress is shown; stderr by default.

    Returns:
        The bundle's metrics on these images.

    Raises:
        CheckpointError: `weights` is not a joint network written by a training run, or `start` is another
            network.
        BundleError: `start` is a bundle that cannot be read.
    """
    found = read_weights(weights)
    if found.architecture is None or found.architecture.name != "joint":
        raise CheckpointError(f"{weights} is not a joint network; import a pair with import-checkpoint.")
    network = build(found.architecture)
    network.load_state_dict(found.tensors)
    if start:
        mean_with(network, found.architecture, start, share)
    out.mkdir(parents=True, exist_ok=True)
    entry = write_network(network.eval(), found.architecture, out, "joint")
    write_manifest(out, name=_NAME, version=version, networks=[entry], preprocessing=Preprocessing())
    return calibrate(out, held_out, authentic, quantised=True, count=count, seed=seed, console=console)


def calibrate(
    folder: Path,
    held_out: PhotoLibrary,
    authentic: Sequence[Path] = (),
    feedback: Sequence[CorrectedAnalysis] = (),
    *,
    version: str | None = None,
    quantised: bool = False,
    count: int = 1000,
    seed: int = 2,
    console: Console | None = None,
) -> HeldOutMetrics:
    """Choose the threshold and calibration of the bundle in `folder`, and rewrite its manifest.

    Args:
        folder: Folder of the bundle.
        held_out: Photos that training did not see.
        authentic: Authentic files that training did not see, analysed as they are. Screenshots and drawings
            among them do not count, because they get no verdict.
        feedback: Corrections of earlier verdicts. They move the coefficients and not the operating points.
            Those of other networks, and of screenshots and drawings, do not count.
        version: New version of the bundle; by default it keeps its version.
        quantised: Whether to add 8-bit graphs first, with ranges measured on some of the images made.
        count: Number of images to make. Each is analysed as the file it would be published as. Those that
            count as drawings are left out.
        seed: Seed of the images made.
        console: Where progress is shown; stderr by default.

    Returns:
        The bundle's metrics on these images.

    Raises:
        BundleError: There is no bundle in `folder`, or it cannot analyse images.
    """
    console = console or Console(stderr=True)
    before = Bundle.load(folder)
    rng = np.random.default_rng(seed)
    sizes, shares = list(SIZES), list(SIZES.values())
    examples = [
        forge(held_out, rng, int(rng.choice(sizes, p=shares)))
        for _ in track(range(count), "Forging", console=console, disable=not console.is_terminal)
    ]
    networks = before.networks
    if quantised:
        tiles = [normalised_tile(each.pixels, before.preprocessing) for each in examples[:_QUANTISED_OVER]]
        networks = tuple(quantise(folder, network, tiles) for network in networks)

    def write(cut: Cut, model: Calibration | None) -> Bundle:
        return write_manifest(
            folder,
            name=before.name,
            version=version or before.version,
            networks=networks,
            preprocessing=before.preprocessing,
            threshold=cut.threshold,
            smallest_region=cut.smallest_region,
            calibration=model,
        )

    # The old calibration stays in the folder until there is a new one.
    shipped = Cut(before.threshold, before.smallest_region)
    bundle = write(shipped, before.calibration) if quantised else before
    detector = Detector.load(replace(bundle, calibration=None))
    made = [
        (example, Seen.of(report, kind))
        for example in track(examples, "Analysing", console=console, disable=not console.is_terminal)
        for report, kind in _photograph(detector, read_image(published(example)))
    ]
    examples, seen = [example for example, _ in made], [each for _, each in made]
    found = [
        (report.measurements, kind)
        for path in track(authentic, "Analysing files", console=console, disable=not console.is_terminal)
        for image in _readable(path, console)
        for report, kind in _photograph(detector, image)
    ]
    measurements = [each.measurements for each in seen]
    corrected = usable(feedback, before.identity.networks, measurements[0])
    model = fit(
        [*measurements, *(row for row, _ in found), *(each.measurements for each in corrected)],
        [
            *(example.type is not None for example in examples),
            *[False] * len(found),
            *(each.correction.truth is Truth.MANIPULATED for each in corrected),
        ],
        [*(each.kind for each in seen), *(kind for _, kind in found), *map(_kind, corrected)],
        [False] * len(seen) + [True] * (len(found) + len(corrected)),
        [False] * (len(seen) + len(found)) + [True] * len(corrected),
    )
    scores = [model.score(row) for row in measurements]
    seen = [
        replace(each, marks=score >= model.operating_points.marked_above)
        for each, score in zip(seen, scores, strict=True)
    ]
    cut = choose_cut(rate_cuts(seen, [example.mask for example in examples]))
    write(cut, model)
    return replace(
        held_out_metrics(seen, scores, examples, cut),
        corrections=len(corrected),
        corrections_before=_judged_right(before.calibration, corrected),
        corrections_after=_judged_right(model, corrected),
    )


def usable(
    feedback: Sequence[CorrectedAnalysis], networks: str, like: Mapping[str, float]
) -> list[CorrectedAnalysis]:
    """Return the corrections that a calibration of `networks`, with measurements like `like`, can use."""
    return [
        each
        for each in feedback
        if each.networks == networks and not each.drawn and each.measurements.keys() == like.keys()
    ]


def _kind(corrected: CorrectedAnalysis) -> FileKind:
    return FileKind(corrected.pixels, corrected.format, math.exp(corrected.measurements.get(LOG_STEP, 0.0)))


def _judged_right(model: Calibration | None, feedback: Sequence[CorrectedAnalysis]) -> int:
    """Return how many verdicts of the score alone are the truth; `inconclusive` is never right."""
    if model is None:
        return 0
    verdicts = [model.verdict(model.score(each.measurements)) for each in feedback]
    return sum(
        verdict.value == each.correction.truth.value for verdict, each in zip(verdicts, feedback, strict=True)
    )


def _readable(path: Path, console: Console) -> Iterator[Image]:
    """Yield the image in a file, unless it cannot be read."""
    try:
        yield read_image(path)
    except (ImageError, OSError) as error:
        console.print(f"{path.name}: {error}", markup=False)


def _photograph(detector: Detector, image: Image) -> Iterator[tuple[Report, FileKind]]:
    """Yield the report on an image, unless it is a drawing."""
    if not image.drawn:
        yield detector.analyze(image), FileKind.of(image)


def published(example: Forgery) -> bytes:
    """Return the bytes of the file an example was last saved as, or of a PNG if it was not saved lossily."""
    if example.data is not None:
        return example.data
    file = BytesIO()
    PIL.Image.fromarray(example.pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def rate_cuts(seen: Sequence[Seen], truths: Sequence[NDArray[np.bool_]]) -> dict[Cut, float]:
    """Return the mean F1 on forged examples of each combination of `THRESHOLDS` and `SMALLEST_REGIONS`.

    `truths` are the ground truths, (height, width) bool. Authentic examples, with no True pixel, do not
    count: `marked_above` limits the marks on them.
    """
    f1s: dict[Cut, list[float]] = defaultdict(list)
    for each, truth in zip(seen, truths, strict=True):
        for threshold in THRESHOLDS if truth.any() else ():
            found = each.candidates(threshold)
            for smallest_region in SMALLEST_REGIONS:
                mask = found.mask(smallest_region)
                f1s[Cut(threshold, smallest_region)].append(metrics.overlap(mask, truth).f1)
    return {cut: float(np.mean(values)) for cut, values in f1s.items()}


def choose_cut(f1s: Mapping[Cut, float]) -> Cut:
    """Return the cut with the lowest threshold that keeps `KEPT_F1` of the best mean F1.

    The F1 is almost the same over a wide range, and networks are less certain of the forgeries of others than
    of those that they learned from. Of several cuts with that threshold, the one with the largest
    `smallest_region` is taken.
    """
    least = KEPT_F1 * max(f1s.values())
    return min((cut for cut, f1 in f1s.items() if f1 >= least), key=lambda cut: (cut[0], -cut[1]))


def held_out_metrics(
    seen: Sequence[Seen], scores: Sequence[float], examples: Sequence[Forgery], cut: Cut
) -> HeldOutMetrics:
    """Return the metrics on held-out examples, with masks cut by `cut`."""
    forged = np.array([example.type is not None for example in examples])
    masks = [each.mask(cut) for each in seen]
    overlaps = [
        metrics.overlap(mask, example.mask)
        for mask, example in zip(masks, examples, strict=True)
        if example.type
    ]
    right = [each.type is example.type for each, example in zip(seen, examples, strict=True) if example.type]
    return HeldOutMetrics(
        forged=int(forged.sum()),
        authentic=int((~forged).sum()),
        threshold=cut.threshold,
        smallest_region=cut.smallest_region,
        f1=float(np.mean([overlap.f1 for overlap in overlaps])),
        iou=float(np.mean([overlap.iou for overlap in overlaps])),
        type_accuracy=float(np.mean(right)),
        auc=metrics.roc_auc(scores, forged),
        marked_authentic=float(
            np.mean([mask.any() for mask, is_forged in zip(masks, forged, strict=True) if not is_forged])
        ),
    )
