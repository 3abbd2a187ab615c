from __future__ import annotations

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from samples import writing
from tamperscope import detector as detector_module
from tamperscope import images
from tamperscope.bundle import Bundle
from tamperscope.calibration import Calibration
from tamperscope.detector import COUNTED, Detector
from tamperscope.errors import BundleError, ImageTooLargeError
from tamperscope.evidence import MEASUREMENTS
from tamperscope.images import ImageLimits
from tamperscope.report import ManipulationType, OperatingPoints, Report, Verdict


@pytest.fixture(scope="module")
def detector(joint_bundle: Bundle) -> Detector:
    return Detector.load(joint_bundle, threads=1)


@pytest.fixture
def photo(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (90, 120, 3), np.uint8)


def logistic(coefficients: dict[str, float], intercept: float) -> Calibration:
    return Calibration(
        coefficients,
        dict.fromkeys(coefficients, 0.0),
        intercept,
        OperatingPoints(0.3, 0.7, 0.02, 0.1, authentic_images=10, manipulated_images=10),
    )


def calibrated(bundle: Bundle, intercept: float, threshold: float) -> Detector:
    """A detector whose score is the sigmoid of `intercept`, whatever the image."""
    model = logistic({"network_map": 0.0}, intercept)
    return Detector(dataclasses.replace(bundle, calibration=model, threshold=threshold), threads=1)


@pytest.mark.parametrize("intercept", [-3.0, 3.0])
def test_no_verdict_is_given_on_what_was_drawn(joint_bundle: Bundle, intercept: float) -> None:
    report = calibrated(joint_bundle, intercept, threshold=0.5).analyze(writing())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.notes[0].startswith("The picture is filled with plain colours")
    assert not report.evidence["clones"].applicable


def test_a_report_covers_the_whole_image(detector: Detector, photo: NDArray[np.uint8]) -> None:
    report = detector.analyze(photo)
    assert report.mask.shape == report.heatmap.shape == (90, 120)
    assert report.mask.dtype == np.bool_
    assert report.heatmap.dtype == np.float32
    assert 0 <= report.heatmap.min() <= report.heatmap.max() <= 1
    assert (report.image.width, report.image.height) == (120, 90)
    assert report.bundle == detector.bundle.identity
    assert sum(report.type_scores.values()) == pytest.approx(1)
    assert report.type_scores[report.type] == max(report.type_scores.values())
    assert json.loads(json.dumps(report.to_json()))["image"]["width"] == 120


def test_every_way_to_pass_an_image_gives_the_same_answer(
    detector: Detector, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    PIL.Image.fromarray(photo).save(path)
    sources = [photo, PIL.Image.open(path), path, str(path), path.read_bytes(), BytesIO(path.read_bytes())]
    heatmaps = {detector.analyze(source).heatmap.tobytes() for source in sources}
    assert len(heatmaps) == 1


def test_the_mask_is_the_heatmap_cut_at_the_bundles_threshold(
    joint_bundle: Bundle, detector: Detector, photo: NDArray[np.uint8]
) -> None:
    for threshold in np.quantile(detector.analyze(photo).heatmap, (0.3, 0.7)):
        report = Detector(dataclasses.replace(joint_bundle, threshold=threshold), threads=1).analyze(photo)
        assert report.mask.any()
        np.testing.assert_array_equal(report.mask, report.heatmap >= threshold)


def test_areas_below_the_bundles_smallest_region_are_dropped(
    joint_bundle: Bundle, detector: Detector, photo: NDArray[np.uint8]
) -> None:
    threshold = float(np.quantile(detector.analyze(photo).heatmap, 0.8))
    strict = dataclasses.replace(joint_bundle, threshold=threshold, smallest_region=1 / photo[..., 0].size)
    report = Detector(strict, threads=1).analyze(photo)
    assert report.regions
    assert min(region.area_share for region in report.regions) >= strict.smallest_region
    marked = report.mask.sum()
    assert 0 < marked < (report.heatmap >= threshold).sum()


def test_a_large_image_has_the_same_map_as_its_tiles_alone(
    detector: Detector, rng: np.random.Generator
) -> None:
    image = rng.integers(0, 256, (64, 800, 3), np.uint8)
    whole, part = detector.analyze(image).heatmap, detector.analyze(image[:, :200]).heatmap
    # The tiny network sees four pixels far; the first 200 columns lie in the first of two tiles.
    np.testing.assert_allclose(whole[:, :190], part[:, :190], atol=1e-6)


def test_beyond_the_pixel_budget_the_image_is_scaled_and_the_report_says_so(
    joint_bundle: Bundle, rng: np.random.Generator
) -> None:
    image = rng.integers(0, 256, (200, 400, 3), np.uint8)
    report = Detector(joint_bundle, pixel_budget=20_000, threads=1).analyze(image)
    assert report.heatmap.shape == report.mask.shape == (200, 400)
    assert any("400 x 200 to 200 x 100" in note for note in report.notes)
    within = Detector(joint_bundle, pixel_budget=80_000, threads=1).analyze(image)
    assert not any("scaled" in note for note in within.notes)


def test_without_calibration_there_is_no_verdict(detector: Detector, photo: NDArray[np.uint8]) -> None:
    report = detector.analyze(photo)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("not calibrated" in note for note in report.notes)
    assert np.sort(report.heatmap, axis=None)[-108:].mean() == pytest.approx(report.score, abs=1e-5)


@pytest.mark.parametrize(
    ("intercept", "verdict"),
    [(3.0, Verdict.MANIPULATED), (-3.0, Verdict.AUTHENTIC), (0.0, Verdict.INCONCLUSIVE)],
)
def test_a_calibrated_score_has_a_verdict(
    joint_bundle: Bundle, photo: NDArray[np.uint8], intercept: float, verdict: Verdict
) -> None:
    report = calibrated(joint_bundle, intercept, threshold=0.5).analyze(photo)
    assert report.verdict is verdict
    assert report.score == pytest.approx(1 / (1 + np.exp(-intercept)))
    assert not any("calibrated" in note for note in report.notes)


def test_a_report_says_when_mask_and_score_disagree(joint_bundle: Bundle, photo: NDArray[np.uint8]) -> None:
    def notes(intercept: float, threshold: float) -> str:
        return " ".join(calibrated(joint_bundle, intercept, threshold).analyze(photo).notes)

    assert "hints" in notes(-3, threshold=0.01)
    assert "no region is certain enough" in notes(3, threshold=1.0)
    assert notes(3, threshold=0.01) == notes(-3, threshold=1.0) == ""


def test_regions_that_the_score_does_not_support_are_hints(
    joint_bundle: Bundle, photo: NDArray[np.uint8]
) -> None:
    marked = calibrated(joint_bundle, 3, threshold=0.01).analyze(photo)
    hinted = calibrated(joint_bundle, -3, threshold=0.01).analyze(photo)
    assert (bool(marked.regions), bool(marked.hints), marked.mask.any()) == (True, False, True)
    assert (bool(hinted.regions), bool(hinted.hints), hinted.mask.any()) == (False, True, False)
    assert hinted.hints == marked.regions


def test_the_type_is_that_of_the_tiles_with_the_manipulation(
    joint_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector(joint_bundle, threads=1)
    original = detector._runtime.run

    def bright_is_inpainted(tile: NDArray[np.uint8]) -> object:
        bright = tile.mean() > 128
        kinds = np.array([0, 0, 1, 0] if bright else [1, 0, 0, 0], np.float32)
        mask = np.full(tile.shape[:2], 0.9 if bright else 0.01, np.float32)
        return dataclasses.replace(original(tile), mask=mask, type=kinds)

    monkeypatch.setattr(detector._runtime, "run", bright_is_inpainted)
    image = np.zeros((64, 1400, 3), np.uint8)
    image[:, :400] = 255
    assert detector.analyze(image).type is ManipulationType.INPAINTING


def test_threads_share_a_detector(detector: Detector, photo: NDArray[np.uint8]) -> None:
    def fingerprint(report: Report) -> tuple[bytes, float]:
        return report.heatmap.tobytes(), report.score

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(detector.analyze, [photo] * 8))
    assert {fingerprint(report) for report in reports} == {fingerprint(detector.analyze(photo))}


def test_evidence_beside_the_networks_is_the_evidence_after_them(
    joint_bundle: Bundle, photo: NDArray[np.uint8]
) -> None:
    alone, beside = (Detector(joint_bundle, threads=threads).analyze(photo) for threads in (1, 2))
    assert list(alone.evidence) == list(beside.evidence) != []
    assert alone.to_json()["evidence"] == beside.to_json()["evidence"]


def test_a_measurement_that_fails_fails_the_analysis(
    joint_bundle: Bundle, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(image: object) -> None:
        raise MemoryError

    monkeypatch.setattr(detector_module, "MEASUREMENTS", {"clones": broken})
    with pytest.raises(MemoryError):
        Detector(joint_bundle, threads=2).analyze(photo)


def test_a_pair_of_networks_analyses_as_well(pair_bundle: Bundle, photo: NDArray[np.uint8]) -> None:
    report = Detector.load(pair_bundle, threads=1).analyze(photo)
    assert report.heatmap.std() > 0
    assert sum(report.type_scores.values()) == pytest.approx(1)


def test_a_bundle_without_types_cannot_analyse(pair_bundle: Bundle) -> None:
    half = dataclasses.replace(pair_bundle, networks=pair_bundle.networks[:1])
    with pytest.raises(BundleError, match="gives no type"):
        Detector(half)


def test_a_calibration_on_what_nothing_measures_is_refused(pair_bundle: Bundle) -> None:
    model = logistic({"network_map": 1.0, "phase_of_the_moon": 1.0}, 0.0)
    with pytest.raises(BundleError, match="calibrated on phase_of_the_moon"):
        Detector.load(dataclasses.replace(pair_bundle, calibration=model))


def test_a_calibration_on_a_score_that_no_network_gives_is_refused(pair_bundle: Bundle) -> None:
    model = logistic({"network_map": 1.0, "network_score": 1.0}, 0.0)
    with pytest.raises(BundleError, match="calibrated on network_score"):
        Detector.load(dataclasses.replace(pair_bundle, calibration=model))


def test_limits_apply(joint_bundle: Bundle, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageTooLargeError):
        Detector(joint_bundle, limits=ImageLimits(pixels=1000), threads=1).analyze(photo)


def test_measurements_are_those_a_calibration_takes(detector: Detector, photo: NDArray[np.uint8]) -> None:
    assert detector.analyze(photo).measurements.keys() == {
        "network_map",
        "network_score",
        "log_pixels",
        "log_step",
        *COUNTED,
    }


def test_warming_up_leaves_answers_alone(joint_bundle: Bundle, photo: NDArray[np.uint8]) -> None:
    cold, warm = Detector(joint_bundle, threads=1), Detector(joint_bundle, threads=1)
    warm.warm_up()
    assert warm.analyze(photo).heatmap.tobytes() == cold.analyze(photo).heatmap.tobytes()


@pytest.fixture
def copied(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of which a part was copied: 70 x 60 pixels from (20, 30) to (150, 120)."""
    picture = np.full((240, 260, 3), 128.0)
    for side, contrast in ((6, 40), (24, 25), (90, 18)):
        layer = rng.normal(0, contrast, (side, side, 3)).astype(np.float32)
        picture += cv2.resize(layer, (260, 240), interpolation=cv2.INTER_CUBIC)
    picture = picture.clip(0, 255).astype(np.uint8)
    picture[120:180, 150:220] = picture[30:90, 20:90]
    return picture


def test_a_verified_copy_joins_mask_type_and_evidence(
    joint_bundle: Bundle, copied: NDArray[np.uint8]
) -> None:
    # Above what networks say, so that all of the mask comes from the copy.
    detector = Detector(dataclasses.replace(joint_bundle, threshold=0.9), threads=1)
    untouched = detector.analyze(copied[:110])

    report = detector.analyze(copied)

    assert not untouched.mask.any()
    assert report.type is ManipulationType.COPYMOVE
    places = np.zeros(report.mask.shape, bool)
    places[120:180, 150:220] = places[30:90, 20:90] = True
    assert report.mask.sum() > 2000
    assert report.mask[places].sum() > 0.9 * report.mask.sum()
    region = report.regions[0]
    assert region.type is ManipulationType.COPYMOVE
    # Source and copy lie in one area each, whichever was taken for which.
    (x, y), box = np.mean(region.source.polygon, axis=0), region.box
    assert abs(x - (box.x + box.width / 2)) == pytest.approx(130, abs=8)
    assert abs(y - (box.y + box.height / 2)) == pytest.approx(90, abs=8)
    told = json.loads(json.dumps(report.to_json()))["evidence"]["clones"]
    assert told["notable"]
    (clone,) = told["details"]["clones"]
    assert clone["change"] == "unchanged"
    (region,) = report.to_json()["regions"]
    assert region["type"] == "copymove"
    assert region["source"]["polygon"] == clone["source"]["polygon"]
    assert region["source"]["certainty"] == clone["certainty"] >= 0.5
    assert any(x < 120 and y < 120 for x, y in region["source"]["polygon"] + region["polygon"])
    assert any(x > 120 and y > 120 for x, y in region["source"]["polygon"] + region["polygon"])


def test_networks_count_less_beside_a_verified_copy(joint_bundle: Bundle, copied: NDArray[np.uint8]) -> None:
    report = Detector(joint_bundle, threads=1).analyze(copied)
    networks = Detector(joint_bundle, threads=1, use_evidence=False).analyze(copied).heatmap

    (clone,) = report.evidence["clones"].clones  # type: ignore[attr-defined]
    beside = ~clone.marked
    odds, before = (each[beside] / (1 - each[beside]) for each in (report.heatmap, networks))
    assert clone.strength > 0.9
    assert (odds < 0.25 * before).all()
    assert (odds > 0.1 * before).all()


def test_copies_count_in_a_score_that_is_calibrated_on_them(
    joint_bundle: Bundle, copied: NDArray[np.uint8]
) -> None:
    model = logistic({"clones": 8.0}, -4.0)
    detector = Detector(dataclasses.replace(joint_bundle, calibration=model), threads=1)

    assert detector.analyze(copied).verdict is Verdict.MANIPULATED
    assert detector.analyze(copied[:110]).verdict is Verdict.AUTHENTIC


def with_a_ghost(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A picture of which the middle was compressed strongly before it was pasted, and that middle."""
    layers = [rng.normal(0, 30, (side, side)).astype(np.float32) for side in (40, 150, 400)]
    gray = 128 + sum(cv2.resize(layer, (400, 400), interpolation=cv2.INTER_CUBIC) for layer in layers)
    picture = np.repeat(gray.clip(0, 255).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)
    file = BytesIO()
    PIL.Image.fromarray(picture).save(file, "JPEG", quality=62)
    place = np.zeros((400, 400), bool)
    place[128:272, 128:272] = True
    return np.where(place[:, :, np.newaxis], np.asarray(PIL.Image.open(file)), picture), place


def test_a_notable_ghost_joins_mask_and_score(joint_bundle: Bundle, rng: np.random.Generator) -> None:
    model = logistic({"jpeg_ghosts": 10.0}, -4.0)
    bundle = dataclasses.replace(joint_bundle, threshold=0.8, calibration=model)
    picture, place = with_a_ghost(rng)

    report = Detector(bundle, threads=1).analyze(picture)
    without = Detector(bundle, threads=1, use_evidence=False).analyze(picture, all_evidence=True)

    assert report.verdict is Verdict.MANIPULATED
    assert report.mask[place].mean() > 0.9
    assert report.mask[~place].mean() < 0.1
    assert without.evidence["jpeg_ghosts"].notable
    assert without.verdict is Verdict.AUTHENTIC
    assert not without.mask.any()


def test_every_measurement_is_made_when_asked_for(detector: Detector, photo: NDArray[np.uint8]) -> None:
    report = detector.analyze(photo, all_evidence=True)

    assert list(report.evidence) == list(MEASUREMENTS)


@pytest.mark.parametrize("threads", [1, None])
@pytest.mark.parametrize("before", [0, 3])
def test_an_analysis_ends_when_its_check_raises(joint_bundle, threads, before):
    calls, lock = [], threading.Lock()

    def check() -> None:
        with lock:
            calls.append(threading.current_thread())
            if len(calls) > before:
                raise LookupError("enough")

    detector = Detector(joint_bundle, threads=threads)

    with pytest.raises(LookupError, match="enough"):
        detector.analyze(np.zeros((64, 64, 3), np.uint8), all_evidence=True, check=check)
    assert before < len(calls) <= before + 2


def test_maps_of_a_large_image_are_reduced_and_places_are_not(joint_bundle, monkeypatch, copied):
    detector = Detector(dataclasses.replace(joint_bundle, threshold=0.9), threads=1)
    whole = detector.analyze(copied)
    monkeypatch.setattr(images, "MOST_MAP_PIXELS", copied[..., 0].size // 4)

    report = detector.analyze(copied, all_evidence=True)

    maps = [found.map for found in report.evidence.values() if found.map is not None]
    assert {found.shape for found in [*maps, report.heatmap]} == {(120, 130)}
    assert report.mask.shape == (240, 260)
    assert (report.mask & whole.mask).sum() > 0.9 * (report.mask | whole.mask).sum()
    (found,), (expected,) = report.regions, whole.regions
    for corner in ("x", "y", "width", "height"):
        assert getattr(found.box, corner) == pytest.approx(getattr(expected.box, corner), abs=4)
    assert np.mean(found.polygon, axis=0) == pytest.approx(np.mean(expected.polygon, axis=0), abs=12)
    assert np.mean(found.source.polygon, axis=0) == pytest.approx(
        np.mean(expected.source.polygon, axis=0), abs=12
    )
    assert found.agreement == expected.agreement | dict.fromkeys(
        found.agreement.keys() - expected.agreement, False
    )
    told = report.evidence["clones"].details["clones"][0]
    assert told["target"]["box"] == dataclasses.asdict(found.box) or told["source"][
        "box"
    ] == dataclasses.asdict(found.box)
