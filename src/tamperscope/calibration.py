"""From raw measurements of a heatmap to a calibrated score and a verdict.

The probabilities of a network say little about how often it is wrong on authentic photos. A calibration is a
logistic model over a few measurements, fitted on images whose ground truth is known (`training.calibration`).
Its two operating points are chosen by the error rates they allow, not set to 0.5 by habit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tamperscope.report import NOTABLE, OperatingPoints, Reason, Verdict

PEAK_SHARE = 0.01
PEAK_PIXELS = 64
"""Lower limit of the pixels that are averaged: of maps below 6400 pixels, 1 % would be too few."""
NETWORK_MAP = "network_map"


@dataclass(frozen=True)
class Calibration:
    """A logistic model over named measurements, and what its score means."""

    coefficients: Mapping[str, float]
    """One per measurement, in the measurement's own unit."""
    baseline: Mapping[str, float]
    """The mean of each measurement on the authentic calibration images, which reasons are relative to."""
    intercept: float
    operating_points: OperatingPoints
    """The two scores between which the verdict is `inconclusive`, with the error rates they were chosen by.
    """

    def score(self, measurements: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1, that an image with these measurements was manipulated.

        Raises `KeyError` when a measurement that the model needs is missing; others are ignored.
        """
        evidence = sum(weight * measurements[name] for name, weight in self.coefficients.items())
        return float(sigmoid(np.float64(self.intercept + evidence)))

    def reasons(self, measurements: Mapping[str, float]) -> tuple[Reason, ...]:
        """Return how each measurement moved the score away from that of an average authentic image.

        The strongest reason comes first. Raises `KeyError` as `score` does.
        """
        effects = {
            name: weight * (measurements[name] - self.baseline[name])
            for name, weight in self.coefficients.items()
        }
        return tuple(Reason(name, effects[name]) for name in sorted(effects, key=lambda n: -abs(effects[n])))

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
            ),
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


def measure(
    heatmap: NDArray[np.float32], strengths: Mapping[str, float] = MappingProxyType({})
) -> dict[str, float]:
    """Return the measurements that a calibration may use, by name.

    `network_map` is the logit of `peak(heatmap)`. `strengths` holds the strength of each piece of evidence, 0
    to 1, and 0 if it does not apply. Notable evidence counts 1 more, because it is hardly ever notable by
    chance.
    """
    return {
        NETWORK_MAP: _logit(peak(heatmap)),
        **{name: strength + float(strength >= NOTABLE) for name, strength in strengths.items()},
    }


def sigmoid(value: Any) -> Any:
    """Return the logistic function of a number or an array, 0 to 1."""
    return 0.5 * (1 + np.tanh(0.5 * value))


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))
