"""From raw measurements of a heatmap to a calibrated score and a verdict.

The probabilities of a network say little about how often it is wrong on authentic photos. A calibration is a
logistic model over a few measurements, fitted on images whose ground truth is known (`training.calibration`).
Its two operating points are chosen by the error rates they allow, not set to 0.5 by habit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tamperscope.images.kind import FileKind
from tamperscope.report import NOTABLE, ErrorRates, OperatingPoints, Reason, Verdict

LOG_PIXELS = "log_pixels"
LOG_STEP = "log_step"
_MOST_PIXELS = 4_000_000
"""Of larger images the networks see a smaller version."""
_ENOUGH_IMAGES = 50
"""Authentic images of one kind from which their own error rates are given."""
PEAK_SHARE = 0.01
PEAK_PIXELS = 64
"""Lower limit of the pixels that are averaged: of maps below 6400 pixels, 1 % would be too few."""
NETWORK_MAP, NETWORK_SCORE = "network_map", "network_score"
NETWORKS = frozenset({NETWORK_MAP, NETWORK_SCORE})
"""What the networks measure: the peak of their map, and their judgement of the whole picture."""


@dataclass(frozen=True)
class Expected:
    """What one of `NETWORKS` is on authentic files, given what is known of the file.

    Networks see more in lossless files, small pictures and slight compression. Only what exceeds that counts.
    """

    mean: tuple[float, float, float]
    """A constant, then factors of `log_pixels` and `log_step`."""
    log_spread: tuple[float, float, float]
    """Natural logarithm of the standard deviation, in the same terms."""

    def excess(self, value: float, log_pixels: float, log_step: float) -> float:
        """Return by how many standard deviations a value exceeds the mean on such authentic files."""
        facts = 1.0, log_pixels, log_step
        mean = sum(factor * fact for factor, fact in zip(self.mean, facts, strict=True))
        spread = math.exp(sum(factor * fact for factor, fact in zip(self.log_spread, facts, strict=True)))
        return (value - mean) / spread


@dataclass(frozen=True)
class KindCounts:
    """How often verdicts on the calibration images of one kind were wrong."""

    format_band: str
    size_band: str
    authentic_images: int
    false_alarms: int
    manipulated_images: int
    misses: int


@dataclass(frozen=True)
class Calibration:
    """A logistic model over named measurements, and what its score means."""

    coefficients: Mapping[str, float]
    """One per measurement, in the measurement's own unit; those of `expected` are per standard deviation."""
    baseline: Mapping[str, float]
    """The mean of each measurement on the authentic calibration images, which reasons are relative to."""
    intercept: float
    operating_points: OperatingPoints
    """The two scores between which the verdict is `inconclusive`, with the error rates they were chosen by.
    """
    expected: Mapping[str, Expected] = field(default_factory=dict)
    """What those of `NETWORKS` are on authentic files that count by what they exceed it."""
    kinds: tuple[KindCounts, ...] = ()
    """Counts of wrong verdicts by kind of file; empty if they were not made."""

    def score(self, measurements: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1, that an image with these measurements was manipulated.

        Raises `KeyError` when a measurement that the model needs is missing; others are ignored.
        """
        seen = self.counted(measurements)
        evidence = sum(weight * seen[name] for name, weight in self.coefficients.items())
        return float(sigmoid(np.float64(self.intercept + evidence)))

    def reasons(self, measurements: Mapping[str, float]) -> tuple[Reason, ...]:
        """Return how each measurement moved the score away from that of an average authentic image.

        The strongest reason comes first. Raises `KeyError` as `score` does.
        """
        seen = self.counted(measurements)
        effects = {
            name: weight * (seen[name] - self.baseline[name]) for name, weight in self.coefficients.items()
        }
        return tuple(Reason(name, effects[name]) for name in sorted(effects, key=lambda n: -abs(effects[n])))

    def counted(self, measurements: Mapping[str, float]) -> Mapping[str, float]:
        """Return the measurements as the coefficients take them: those of `expected` as their excess."""
        facts = measurements.get(LOG_PIXELS, 0.0), measurements.get(LOG_STEP, 0.0)
        excesses = {
            name: expected.excess(measurements[name], *facts)
            for name, expected in self.expected.items()
            if name in measurements
        }
        return {**measurements, **excesses}

    def error_rates(self, kind: FileKind) -> ErrorRates | None:
        """Return how often verdicts on files of this kind were wrong.

        Where fewer than 50 such authentic images were seen, the rates are those of the format, and failing
        that those of all files.
        """
        same_format = [counts for counts in self.kinds if counts.format_band == kind.format_band]
        same = [counts for counts in same_format if counts.size_band == kind.size_band]
        groups = ((str(kind), same), (kind.format_band, same_format), ("files of all kinds", self.kinds))
        for files, group in groups:
            authentic = sum(counts.authentic_images for counts in group)
            if authentic >= _ENOUGH_IMAGES or (authentic and group is self.kinds):
                return ErrorRates(
                    files=files,
                    authentic_images=authentic,
                    false_alarms=sum(counts.false_alarms for counts in group),
                    manipulated_images=sum(counts.manipulated_images for counts in group),
                    misses=sum(counts.misses for counts in group),
                )
        return None

    def verdict(self, score: float) -> Verdict:
        """Return the verdict for a score, 0 to 1: `inconclusive` between the two operating points."""
        if score > self.operating_points.manipulated_above:
            return Verdict.MANIPULATED
        if score < self.operating_points.authentic_below:
            return Verdict.AUTHENTIC
        return Verdict.INCONCLUSIVE

    def to_json(self) -> dict[str, Any]:
        """Return this calibration in types that `json.dumps` takes, as a bundle's manifest holds it."""
        return {
            "coefficients": dict(self.coefficients),
            "baseline": dict(self.baseline),
            "intercept": self.intercept,
            "expected": {name: dataclasses.asdict(each) for name, each in self.expected.items()},
            "kinds": [dataclasses.asdict(counts) for counts in self.kinds],
            **dataclasses.asdict(self.operating_points),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned.

        Raises `KeyError`, `TypeError` or `ValueError` for anything else.
        """
        return cls(
            coefficients={str(name): float(value) for name, value in document["coefficients"].items()},
            baseline={str(name): float(document["baseline"][name]) for name in document["coefficients"]},
            intercept=float(document["intercept"]),
            operating_points=OperatingPoints(
                authentic_below=float(document["authentic_below"]),
                manipulated_above=float(document["manipulated_above"]),
                false_alarm_rate=float(document["false_alarm_rate"]),
                miss_rate=float(document["miss_rate"]),
                authentic_images=int(document["authentic_images"]),
                manipulated_images=int(document["manipulated_images"]),
                marked_above=float(document.get("marked_above", 0)),
            ),
            expected=_expected(document.get("expected", {})),
            kinds=tuple(KindCounts(**counts) for counts in document.get("kinds", ())),
        )


def peak(heatmap: NDArray[np.float32]) -> float:
    """Return the mean of the highest 1 % of the pixels of a heatmap, but of at least 64.

    `heatmap` is (height, width) float32, 0 to 1.

    >>> heatmap = np.zeros((100, 100), np.float32)
    >>> heatmap[0] = 0.5
    >>> peak(heatmap)
    0.5
    """
    count = min(heatmap.size, max(PEAK_PIXELS, round(PEAK_SHARE * heatmap.size)))
    flat = heatmap.ravel()
    return float(np.partition(flat, flat.size - count)[flat.size - count :].mean(dtype=np.float64))


def _expected(document: Mapping[str, Any]) -> dict[str, Expected]:
    # Bundles before 0.6 hold that of the map alone.
    named = {NETWORK_MAP: document} if "mean" in document else document
    expected = {}
    for name, each in named.items():
        mean, log_spread = (tuple(map(float, each[part])) for part in ("mean", "log_spread"))
        if len(mean) != 3 or len(log_spread) != 3:
            raise ValueError("`mean` and `log_spread` need three numbers each")
        expected[name] = Expected(mean, log_spread)
    return expected


def measure(
    heatmap: NDArray[np.float32],
    strengths: Mapping[str, float] = MappingProxyType({}),
    kind: FileKind | None = None,
    network_score: float | None = None,
) -> dict[str, float]:
    """Return the measurements that a calibration may use, by name.

    `network_map` is the logit of `peak(heatmap)`, and `network_score` that of the probability that the
    networks themselves give, where they give one. `log_pixels` and `log_step` are what `kind` says of the
    file: natural logarithms of its pixels and of its mean quantisation step. `strengths` holds the strength
    of each piece of evidence, 0 to 1, and 0 if it does not apply. Notable evidence counts 1 more, because it
    is hardly ever notable by chance.
    """
    return {
        NETWORK_MAP: _logit(peak(heatmap)),
        **({} if network_score is None else {NETWORK_SCORE: _logit(network_score)}),
        **(
            {}
            if kind is None
            else {LOG_PIXELS: math.log(min(kind.pixels, _MOST_PIXELS)), LOG_STEP: math.log(kind.step)}
        ),
        **{name: strength + float(strength >= NOTABLE) for name, strength in strengths.items()},
    }


def sigmoid(value: Any) -> Any:
    """Return the logistic function of a number or an array, 0 to 1."""
    return 0.5 * (1 + np.tanh(0.5 * value))


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))
