"""From raw measurements of a heatmap to a calibrated score and a verdict.

A network's own probabilities say little about how often it is wrong on photographs nobody touched. A
calibration is a logistic model over a few measurements, fitted on images whose truth is known, with two
operating points that are chosen by the errors they allow, not 0.5 by habit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tamperscope.report import NOTABLE, OperatingPoints, Reason, Verdict

PEAK_SHARE = 0.01
PEAK_PIXELS = 64
"""Below 6400 pixels, 1 % of a map is too few pixels to average: an 80 x 80 image and a smaller one use 64."""
NETWORK_MAP = "network_map"
BELIEF_IN_NETWORKS = 0.5
"""How much of the weight that suits synthesised forgeries the networks' map is given: it was trained on their
like, and tells those that others made less well, while traces tell them better (docs/experiments.md, 26).
"""


@dataclass(frozen=True)
class Calibration:
    """A logistic model over named measurements, and what its score means."""

    coefficients: Mapping[str, float]
    """One per measurement, in the measurement's own unit."""
    baseline: Mapping[str, float]
    """The mean of each measurement on the authentic calibration images: what a score's reasons refer to."""
    intercept: float
    authentic_below: float
    """Score, 0 to 1, below which an image is called authentic."""
    manipulated_above: float
    """Score, 0 to 1, above which an image is called manipulated; never less than `authentic_below`."""
    false_alarm_rate: float
    """Share of the authentic calibration images that may exceed `manipulated_above`."""
    miss_rate: float
    """Share of the manipulated calibration images that may fall below `authentic_below`."""
    authentic_images: int
    manipulated_images: int

    def __post_init__(self) -> None:
        if not 0 <= self.authentic_below <= self.manipulated_above <= 1:
            raise ValueError("operating points must satisfy 0 <= authentic_below <= manipulated_above <= 1")

    def score(self, measurements: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1, that an image with these measurements was manipulated.

        Raises `KeyError` when one that the model needs is not there; others are ignored.
        """
        evidence = sum(weight * measurements[name] for name, weight in self.coefficients.items())
        return float(_sigmoid(np.float64(self.intercept + evidence)))

    def reasons(self, measurements: Mapping[str, float]) -> tuple[Reason, ...]:
        """Return what moved the score of these measurements away from an average authentic image's, strongest
        first; raises `KeyError` as `score` does.
        """
        effects = {
            name: weight * (measurements[name] - self.baseline[name])
            for name, weight in self.coefficients.items()
        }
        return tuple(Reason(name, effects[name]) for name in sorted(effects, key=lambda n: -abs(effects[n])))

    def verdict(self, score: float) -> Verdict:
        """Return what a score means at the two operating points; between them nothing is claimed."""
        if score > self.manipulated_above:
            return Verdict.MANIPULATED
        if score < self.authentic_below:
            return Verdict.AUTHENTIC
        return Verdict.INCONCLUSIVE

    @property
    def operating_points(self) -> OperatingPoints:
        """What a reader of the score must know: the same figures without the model."""
        return OperatingPoints(
            authentic_below=self.authentic_below,
            manipulated_above=self.manipulated_above,
            false_alarm_rate=self.false_alarm_rate,
            miss_rate=self.miss_rate,
            authentic_images=self.authentic_images,
            manipulated_images=self.manipulated_images,
        )

    def to_json(self) -> dict[str, Any]:
        """Return this calibration in types that `json.dumps` takes."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave; raises `KeyError`, `TypeError` or `ValueError` on anything else."""
        return cls(
            coefficients={str(name): float(value) for name, value in document["coefficients"].items()},
            baseline={str(name): float(document["baseline"][name]) for name in document["coefficients"]},
            intercept=float(document["intercept"]),
            authentic_below=float(document["authentic_below"]),
            manipulated_above=float(document["manipulated_above"]),
            false_alarm_rate=float(document["false_alarm_rate"]),
            miss_rate=float(document["miss_rate"]),
            authentic_images=int(document["authentic_images"]),
            manipulated_images=int(document["manipulated_images"]),
        )


def peak(heatmap: NDArray[np.float32]) -> float:
    """Return the mean of the highest 1 % of a heatmap (height, width; 0 to 1), of 64 pixels at least."""
    count = min(heatmap.size, max(PEAK_PIXELS, round(PEAK_SHARE * heatmap.size)))
    flat = heatmap.ravel()
    return float(np.partition(flat, flat.size - count)[flat.size - count :].mean(dtype=np.float64))


def measure(
    heatmap: NDArray[np.float32], strengths: Mapping[str, float] = MappingProxyType({})
) -> dict[str, float]:
    """Return the measurements a calibration may use.

    `network_map`: logit of `peak(heatmap)`. `strengths` are those of the evidence by its names, 0 to 1, and 0
    where it does not apply; what is notable counts 1 more, for it hardly ever is so by chance.
    """
    return {
        NETWORK_MAP: _logit(peak(heatmap)),
        **{name: strength + float(strength >= NOTABLE) for name, strength in strengths.items()},
    }


def fit(
    measurements: Sequence[Mapping[str, float]],
    manipulated: Sequence[bool],
    *,
    false_alarm_rate: float = 0.04,
    miss_rate: float = 0.10,
    ridge: float = 1.0,
) -> Calibration:
    """Fit a calibration on images of known truth: one mapping of measurements per image, all of the same
    names.

    `manipulated_above` is the lowest score that at most `false_alarm_rate` of the authentic images exceed,
    and `authentic_below` the highest that at most `miss_rate` of the manipulated ones fall below. When the
    two cross, every score between them keeps both promises: both points move to the middle, and nothing stays
    inconclusive.

    Both classes weigh the same, so a score is a probability for a reader who has no prior opinion. `ridge` is
    the L2 penalty on standardised coefficients. Of the networks' coefficient `BELIEF_IN_NETWORKS` is kept,
    and everything else fitted to that; as so much less is believed, all log-odds are scaled to what suits
    these images in the end (temperature scaling, Guo et al. 2017, "On calibration of modern neural
    networks"). Measurements that would count against a manipulation are left out: more of a trace must never
    make a picture look more authentic. Raises `ValueError` when a class has no image or names differ.
    """
    labels = np.asarray(manipulated, dtype=bool)
    names = sorted(measurements[0]) if measurements else []
    if len(labels) != len(measurements) or not labels.any() or labels.all():
        raise ValueError("a calibration needs a label for each image, and images of both classes")
    if any(sorted(row) != names for row in measurements):
        raise ValueError("every image needs the same measurements")
    columns = {name: np.array([row[name] for row in measurements], dtype=np.float64) for name in names}
    coefficients, intercept = _never_negative(columns, labels, ridge, np.zeros(len(labels)))
    if NETWORK_MAP in coefficients:
        believed = BELIEF_IN_NETWORKS * coefficients[NETWORK_MAP]
        others = {name: columns[name] for name in coefficients if name != NETWORK_MAP}
        coefficients, intercept = _never_negative(others, labels, ridge, believed * columns[NETWORK_MAP])
        coefficients[NETWORK_MAP] = believed
    log_odds = np.full(len(labels), intercept)
    for name, weight in coefficients.items():
        log_odds += weight * columns[name]
    scale = _scale(log_odds, labels, ridge)
    coefficients = {name: scale * weight for name, weight in coefficients.items()}
    model = Calibration(
        coefficients=coefficients,
        baseline={name: float(columns[name][~labels].mean()) for name in coefficients},
        intercept=scale * intercept,
        authentic_below=0,
        manipulated_above=1,
        false_alarm_rate=false_alarm_rate,
        miss_rate=miss_rate,
        authentic_images=int((~labels).sum()),
        manipulated_images=int(labels.sum()),
    )
    scores = np.array([model.score(row) for row in measurements])
    above = float(np.sort(scores[~labels])[::-1][int(false_alarm_rate * model.authentic_images)])
    below = float(np.sort(scores[labels])[int(miss_rate * model.manipulated_images)])
    if below > above:
        below = above = (below + above) / 2
    return dataclasses.replace(model, authentic_below=below, manipulated_above=above)


def _never_negative(
    columns: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.bool_],
    ridge: float,
    offset: NDArray[np.float64],
) -> tuple[dict[str, float], float]:
    """Return the coefficients by name, without those below 0, and the intercept, beside fixed log-odds."""
    names = list(columns)
    while True:
        rows = np.array([columns[name] for name in names]).reshape(len(names), len(labels)).T
        coefficients, intercept = _logistic_regression(rows, labels, ridge, offset)
        if not (coefficients < 0).any():
            return dict(zip(names, coefficients.tolist(), strict=True)), intercept
        del names[int(coefficients.argmin())]


def _logistic_regression(
    rows: NDArray[np.float64], labels: NDArray[np.bool_], ridge: float, offset: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Newton's method (iteratively reweighted least squares) on standardised columns."""
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    spread[spread == 0] = 1
    design = np.column_stack([np.ones(len(rows)), (rows - centre) / spread])
    penalty = np.diag([0.0] + [ridge] * rows.shape[1])
    importance = _importance(labels)
    solution = np.zeros(design.shape[1])
    for _ in range(100):
        expected = _sigmoid(design @ solution + offset)
        gradient = design.T @ (importance * (labels - expected)) - penalty @ solution
        curvature = (design * (importance * expected * (1 - expected))[:, None]).T @ design + penalty
        step = np.linalg.solve(curvature, gradient)
        solution += step
        if np.abs(step).max() < 1e-10:
            break
    coefficients = solution[1:] / spread
    return coefficients, float(solution[0] - coefficients @ centre)


def _scale(log_odds: NDArray[np.float64], labels: NDArray[np.bool_], ridge: float) -> float:
    """Return the factor of the log-odds that gives the labels the greatest likelihood.

    `ridge` pulls it towards 1. The likelihood's slope falls as the factor grows, so halving finds its zero.
    """
    importance = _importance(labels)
    low, high = 0.0, 100.0
    while high - low > 1e-9:
        scale = (low + high) / 2
        slope = float((importance * (labels - _sigmoid(scale * log_odds))) @ log_odds) - ridge * (scale - 1)
        low, high = (scale, high) if slope > 0 else (low, scale)
    return low


def _importance(labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a weight for each image with which both classes weigh the same."""
    share = labels.mean()
    return np.asarray(np.where(labels, 0.5 / share, 0.5 / (1 - share)))


def _sigmoid(value: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * value))


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))
