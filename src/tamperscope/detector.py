"""The whole analysis of one image, from its bytes to a report.

    detector = Detector.load()                # the default bundle
    report = detector.analyze("photo.jpg")    # path, bytes, file object, Pillow image or array
    report.verdict, report.score, report.type, report.regions, report.mask

A report never claims more than was measured: without a calibration the verdict is `inconclusive`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from tamperscope import background, calibration
from tamperscope.bundle import Bundle
from tamperscope.errors import BundleError
from tamperscope.evidence import MEASUREMENTS, clones, double_jpeg, jpeg_ghosts, metadata, provenance
from tamperscope.evidence.agreement import agreement, marks_of
from tamperscope.evidence.clones import Clone, CloneEvidence
from tamperscope.evidence.origin_rules import judged
from tamperscope.evidence.provenance import TrustList
from tamperscope.images import Image, ImageSource, read_image
from tamperscope.images.contours import filled, fitted, polygon
from tamperscope.images.kind import FileKind
from tamperscope.inference import devices, tiling
from tamperscope.inference.regions import MaskedRegions, outline
from tamperscope.inference.runtime import Runtime, TileOutputs
from tamperscope.interruption import Check, checked_by, checkpoint
from tamperscope.method import DetectorOptions, Method
from tamperscope.origin import Claim
from tamperscope.report import CopySource, Evidence, ManipulationType, Reason, Region, Report, Verdict

COUNTED = frozenset({clones.NAME, jpeg_ghosts.NAME, double_jpeg.NAME})
"""The evidence that counts in the score. Copies and JPEG ghosts join the mask as well. All other evidence is
for the reader.
"""

ODDS_WITH_VERIFIED_COPY = 0.13
"""Factor on the odds of what the networks mark in an image with a verified copy. What they see there is
mostly the copy, its source, or a disturbance that the copy explains.
"""
# Value of a ghost's map from which a block reacts like the smaller group of blocks.
_GHOST = 0.5
_DEFAULT_OPTIONS = DetectorOptions()


class Detector:
    """Analyses images with one bundle. Threads may share it, and equal images get equal reports.

    Example:
        >>> import numpy as np
        >>> detector = Detector.load(threads=1)
        >>> report = detector.analyze(np.full((64, 64, 3), 128, np.uint8))
        >>> report.verdict
        <Verdict.INCONCLUSIVE: 'inconclusive'>
        >>> report.mask.shape, report.heatmap.dtype
        ((64, 64), dtype('float32'))
    """

    def __init__(self, bundle: Bundle, options: DetectorOptions = _DEFAULT_OPTIONS, **changes: Any) -> None:
        """Compile the networks of `bundle`; see `load`."""
        if missing := {"mask", "type"} - bundle.outputs:
            raise BundleError(f"{bundle.path} cannot analyse images: it gives no {' and no '.join(missing)}.")
        needed = set() if bundle.calibration is None else set(bundle.calibration.coefficients)
        seen = calibration.NETWORKS if "score" in bundle.outputs else {calibration.NETWORK_MAP}
        if unknown := needed - seen - COUNTED:
            names = " and ".join(sorted(unknown))
            raise BundleError(f"{bundle.path} is calibrated on {names}, which this version does not measure.")
        self.bundle = bundle
        self.options = replace(options, **changes)
        self._counted = COUNTED if self.options.use_evidence else frozenset()
        self._trust = TrustList(self.options.trust_list, self.options.trust_anchors)
        self.device = devices.choose(self.options.device)
        self._runtime = Runtime(
            bundle,
            device=self.device,
            threads=self.options.threads,
            cache=self.options.cache,
            precision=self.options.precision,
        )

    @classmethod
    def load(
        cls,
        bundle: Bundle | str | os.PathLike[str] | None = None,
        options: DetectorOptions = _DEFAULT_OPTIONS,
        **changes: Any,
    ) -> Self:
        """Return a detector with `bundle`, the folder of one, or the default model.

        Args:
            bundle: A bundle, or the path of its folder; None takes `default_bundle_path()`.
            options: How images are analysed.
            changes: Single options by their names, such as `threads=1`, in place of those in `options`.

        Raises:
            BundleError: The bundle is missing, altered, or lacks an output.
            SettingsError: The device is not there, or computes otherwise than the CPU.
            TypeError: There is no option of that name.
        """
        loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        return cls(loaded, options, **changes)

    @property
    def method(self) -> Method:
        """What its reports depend on besides the image."""
        return Method.of(self.bundle.identity, self.options, self.device.text)

    def warm_up(self) -> None:
        """Run the networks once, so that the first image does not pay for their preparation."""
        side = 8 * tiling.STEP
        self._runtime.run(np.zeros((side, side, 3), np.uint8))

    def analyze(
        self, source: ImageSource | Image, *, all_evidence: bool = False, check: Check | None = None
    ) -> Report:
        """Analyse one image.

        Args:
            source: A path, bytes, a binary file object, a Pillow image, an array as `read_image` takes it, or
                an `Image` that was already read.
            all_evidence: Make every measurement, not only those that the score rests on.
            check: Called before each tile and each step of a measurement, from two threads. What it raises
                ends the analysis, and is raised here.

        Returns:
            The report. `mask` is (height, width) bool, of the size of the upright image, and `heatmap` is
            float32, 0 to 1, of the image's `map_shape`.

        Raises:
            ImageError: The image cannot be read, or is outside the limits.
            OSError: The path cannot be opened.
        """
        with checked_by(check):
            return self._report(self._read(source), MEASUREMENTS if all_evidence else self._counted)

    def _report(self, image: Image, evidence: Collection[str]) -> Report:
        seen = self._look(image, evidence)
        counted = {name: found for name, found in seen.evidence.items() if name in self._counted}
        heatmap = _resized(seen.heatmap, image.map_shape)
        marks = marks_of(seen.evidence, heatmap >= self.bundle.threshold)
        heatmap = _joined(heatmap, counted)
        type_scores = _type_scores(seen.type_scores, counted)
        found = outline(heatmap, self.bundle.threshold, self.bundle.smallest_region, verified_copies(counted))
        kind = FileKind.of(image)
        measurements = self._measure(seen, kind)
        score, by_score, reasons = self._judge(measurements, seen)
        regions = tuple(
            replace(_explained(region, _clones(counted)), agreement=agreement(region, marks))
            for region in found.regions
        )
        marked = self._marks(score, by_score, seen)
        regions = tuple(region.scaled(*image.magnification) for region in regions)
        mask = fitted(found.mask, (image.height, image.width))
        origin, verdict = judged(self._claims(image), by_score)
        model = self.bundle.calibration
        return Report(
            verdict=verdict,
            score=score,
            type=max(type_scores, key=type_scores.__getitem__),
            type_scores=type_scores,
            regions=regions if marked else (),
            threshold=self.bundle.threshold,
            notes=(*seen.notes, *self._doubts(seen, by_score, found, marked)),
            image=image.facts(),
            bundle=self.bundle.identity,
            mask=mask if marked else np.zeros_like(mask),
            heatmap=heatmap,
            evidence=seen.evidence,
            reasons=reasons,
            measurements=measurements,
            operating_points=model.operating_points if model else None,
            drawn=seen.drawn,
            origin=origin,
            device=self.device.text,
            hints=() if marked else regions,
            error_rates=model.error_rates(kind) if model and not seen.drawn else None,
        )

    def _read(self, source: ImageSource | Image) -> Image:
        return source if isinstance(source, Image) else read_image(source, self.options.limits)

    def _look(self, image: Image, evidence: Collection[str]) -> _Seen:
        """Run the networks tile by tile, blend their answers, and make the measurements."""
        pixels, notes = _within_budget(image.pixels, self.options.pixel_budget)
        cover = tiling.whole if self.bundle.scales_images else tiling.plan
        tiles = cover(*pixels.shape[:2])
        if self.options.threads == 1 or not evidence:
            measured, outputs = self._measured(image, evidence), self._run(pixels, tiles)
        else:
            # At the same time as the networks: neither of the two keeps every core busy.
            measuring = background.begin(partial(self._measured, image, evidence), "tamperscope-evidence")
            try:
                outputs = self._run(pixels, tiles)
            finally:
                # Even if the networks were stopped: the next analysis needs the memory.
                wait([measuring])
            measured = measuring.result()
        masks = [output.mask for output in outputs if output.mask is not None]
        kinds = np.array([output.type for output in outputs])
        # Tiles count by the manipulated probability mass in them; all alike if there is none.
        mass = np.array([np.sum(mask * tile.weights) for mask, tile in zip(masks, tiles, strict=True)]) + 1e-3
        type_scores = np.average(kinds.astype(np.float64), axis=0, weights=mass)
        type_scores /= type_scores.sum()
        return _Seen(
            heatmap=tiling.stitch(tiles, masks).clip(0, 1),
            score=max((output.score for output in outputs if output.score is not None), default=None),
            type_scores=dict(zip(ManipulationType, type_scores.tolist(), strict=True)),
            evidence=measured,
            notes=notes,
            drawn=image.drawn,
        )

    def _measured(self, image: Image, names: Collection[str]) -> dict[str, Evidence]:
        credentials = partial(provenance.measure, trust=self._trust)
        measurements: dict[str, Callable[[Image], Evidence]] = {**MEASUREMENTS, provenance.NAME: credentials}
        measured = {}
        for name, measure in measurements.items():
            if name in names:
                checkpoint()
                found = measure(image)
                measured[name] = _within_map_shape(found, image)
        copies, compressed_once = measured.get(clones.NAME), measured.get(double_jpeg.NAME)
        if isinstance(copies, CloneEvidence) and compressed_once and compressed_once.map is not None:
            measured[clones.NAME] = clones.weigh(copies, compressed_once.map)
        image.forget_jpeg()
        return measured

    def _claims(self, image: Image) -> Iterator[Claim]:
        """Yield what the file itself says about its origin, which every analysis reads."""
        if credentials := provenance.read(image, self._trust):
            yield from provenance.claims(credentials)
        yield from metadata.claims(metadata.read(image))

    def _run(self, pixels: NDArray[np.uint8], tiles: Sequence[tiling.Tile]) -> list[TileOutputs]:
        outputs = []
        for tile in tiles:
            checkpoint()
            outputs.append(self._runtime.run(pixels[tile.rows, tile.columns]))
        return outputs

    def _judge(
        self, measurements: Mapping[str, float], seen: _Seen
    ) -> tuple[float, Verdict, tuple[Reason, ...]]:
        model = self.bundle.calibration
        if model is None:
            return calibration.peak(seen.heatmap), Verdict.INCONCLUSIVE, ()
        score = model.score(measurements)
        verdict = Verdict.INCONCLUSIVE if seen.drawn else model.verdict(score)
        return score, verdict, model.reasons(measurements)

    def _marks(self, score: float, verdict: Verdict, seen: _Seen) -> bool:
        """Return whether the judgement of the whole picture supports marking regions in it."""
        model = self.bundle.calibration
        if model is None:
            return True
        supported = score >= model.operating_points.marked_above
        return supported and verdict is not Verdict.AUTHENTIC and not seen.drawn

    def _measure(self, seen: _Seen, kind: FileKind) -> dict[str, float]:
        found = {name: seen.evidence.get(name) if name in self._counted else None for name in COUNTED}
        strengths = {name: (evidence and evidence.strength) or 0.0 for name, evidence in found.items()}
        return calibration.measure(seen.heatmap, strengths, kind, seen.score)

    def _doubts(self, seen: _Seen, verdict: Verdict, found: MaskedRegions, marked: bool) -> Iterator[str]:
        """Yield what a reader should know before trusting verdict and mask."""
        if seen.drawn:
            yield (
                "The picture is filled with plain colours, like a screenshot, a drawing or a cut-out. This "
                "model was made for photographs: score and mask say little here, and there is no verdict."
            )
        if self.bundle.calibration is None:
            yield (
                "This model is not calibrated. The score is the network's own, its error rates are unknown, "
                "and so there is no verdict."
            )
        if found.regions and not marked:
            yield (
                "The networks suspect places that the picture as a whole does not support. They are hints, "
                "most of them false alarms, and not part of the mask."
            )
        if verdict is Verdict.MANIPULATED and not found.regions:
            yield "The score says manipulated, but no region is certain enough for the mask. See the heatmap."
        if marked and found.region_count > len(found.regions):
            yield f"The mask has {found.region_count} separate regions, of which the largest are listed."


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was seen in one image, before any conclusion."""

    heatmap: NDArray[np.float32]
    """The networks' own, at the resolution of the analysis; (height, width), 0 to 1."""
    score: float | None
    """The networks' own, of the most suspicious tile, 0 to 1; None where they give none."""
    type_scores: dict[ManipulationType, float]
    """The networks' own."""
    evidence: Mapping[str, Evidence]
    """The measurements that were asked for, at the image's own resolution."""
    notes: tuple[str, ...]
    drawn: bool
    """Whether it looks like something other than a photograph."""


def _within_map_shape(evidence: Evidence, image: Image) -> Evidence:
    """Scale the map of a measurement that works at the image's own resolution."""
    found = evidence.map
    if found is None or found.shape == image.map_shape:
        return evidence
    size = image.map_shape[::-1]
    return replace(evidence, map=cv2.resize(found, size, interpolation=cv2.INTER_AREA))


def _joined(heatmap: NDArray[np.float32], evidence: Mapping[str, Evidence]) -> NDArray[np.float32]:
    """Add verified copies and notable JPEG ghosts to a heatmap.

    The stronger a copy, the less counts what the networks see elsewhere (explaining away). Without either,
    the heatmap itself is returned.
    """
    joined = heatmap
    if copies := _clones(evidence):
        odds = np.float32(1 - copies[0].strength * (1 - ODDS_WITH_VERIFIED_COPY))
        # In place, because each copy of a large image's heatmap has hundreds of megabytes.
        rest = heatmap * (1 - odds)
        np.subtract(1, rest, out=rest)
        joined = heatmap * odds
        np.divide(joined, rest, out=joined)
    for clone in copies:
        np.maximum(joined, np.float32(clone.strength), out=joined, where=clone.marked)
    ghosts = evidence.get(jpeg_ghosts.NAME)
    if ghosts is not None and ghosts.notable and ghosts.strength is not None and ghosts.map is not None:
        joined = np.maximum(joined, np.float32(ghosts.strength) * (ghosts.map > _GHOST))
    return joined


def suspected(report: Report, bundle: Bundle) -> NDArray[np.bool_]:
    """Return the mask of a report whether its score supports marks or not: (height, width) bool, True in
    marked regions and in hints.
    """
    if not report.hints:
        return report.mask
    copies = verified_copies(report.evidence)
    found = outline(report.heatmap, bundle.threshold, bundle.smallest_region, copies)
    return fitted(found.mask, report.mask.shape)


def verified_copies(evidence: Mapping[str, Evidence]) -> NDArray[np.bool_] | None:
    """Return (height, width) bool, True in verified copies, which a mask keeps at any size; None without
    copies.
    """
    found = _clones(evidence)
    return np.logical_or.reduce([clone.marked for clone in found]) if found else None


def _explained(region: Region, found: Sequence[Clone]) -> Region:
    """Give a region that is mostly a verified copy its type and its source."""
    checkpoint()
    box = region.box
    window = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
    corners = tuple((x - box.x, y - box.y) for x, y in region.polygon)
    inside = filled(corners, (box.height, box.width))
    for clone in found:
        copies = [(clone.target_mask, clone.source_mask, clone.certainty)]
        if not clone.decided:
            copies.append((clone.source_mask, clone.target_mask, 1 - clone.certainty))
        for copy, original, certainty in copies:
            if (copy[window] & inside).sum() > 0.5 * inside.sum():
                source = CopySource(polygon(original), certainty, clone.decided)
                return replace(region, type=ManipulationType.COPYMOVE, source=source)
    return region


def _type_scores(
    networks: Mapping[ManipulationType, float], evidence: Mapping[str, Evidence]
) -> dict[ManipulationType, float]:
    """Return the networks' type scores, moved towards copy-move by the strength of the strongest verified
    copy.
    """
    copied = max((clone.strength for clone in _clones(evidence)), default=0.0)
    scores = {kind: (1 - copied) * score for kind, score in networks.items()}
    scores[ManipulationType.COPYMOVE] += copied
    return scores


def _clones(evidence: Mapping[str, Evidence]) -> tuple[Clone, ...]:
    copies = evidence.get(clones.NAME)
    return copies.clones if isinstance(copies, CloneEvidence) else ()


def _within_budget(pixels: NDArray[np.uint8], budget: int) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    height, width = pixels.shape[:2]
    if height * width <= budget:
        return pixels, ()
    scale = (budget / (height * width)) ** 0.5
    smaller = max(1, int(height * scale)), max(1, int(width * scale))
    before, after = f"{width} x {height}", f"{smaller[1]} x {smaller[0]}"
    note = (
        f"The image was scaled from {before} to {after} pixels for the analysis. Finer traces were not seen."
    )
    return cv2.resize(pixels, smaller[::-1], interpolation=cv2.INTER_AREA), (note,)


def _resized(heatmap: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    if heatmap.shape == shape:
        return heatmap
    resized: NDArray[np.float32] = cv2.resize(heatmap, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return resized
