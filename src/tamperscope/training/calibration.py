"""Fit a calibration on images with known ground truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tamperscope.calibration import (
    LOG_PIXELS,
    LOG_STEP,
    NETWORK_MAP,
    NETWORK_SCORE,
    Calibration,
    Expected,
    KindCounts,
    sigmoid,
)
from tamperscope.images.kind import FileKind
from tamperscope.report import OperatingPoints

NETWORK_WEIGHT_KEPT = 0.5
"""Factor that reduces the coefficients of what the networks measure, fitted on synthesised forgeries.

The networks were trained on such forgeries and recognise forgeries made by others less well. Traces recognise
those better (docs/measurements/experiments.md, 26).
"""
NETWORK_SHARES = {NETWORK_MAP: 2 / 3, NETWORK_SCORE: 1 / 3}
"""What each of the networks' measurements contributes to their opinion, whose coefficient is fitted. A fit on
synthesised forgeries and large originals gives the score next to nothing, and recognises the forgeries of
other software less well (docs/measurements/experiments.md, 49).
"""

_OPINION = "networks"
_LEAST_DEVIATION = 0.1
"""Logits added to a deviation before its logarithm is taken."""


def fit(
    measurements: Sequence[Mapping[str, float]],
    manipulated: Sequence[bool],
    kinds: Sequence[FileKind] | None = None,
    as_found: Sequence[bool] | None = None,
    corrections: Sequence[bool] | None = None,
    *,
    false_alarm_rate: float = 0.02,
    miss_rate: float = 0.25,
    marked_rate: float = 0.10,
    ridge: float = 1.0,
) -> Calibration:
    """Fit a calibration by logistic regression on images with known ground truth.

    Both classes have equal weight, so a score is the probability of a manipulation for a reader without a
    prior opinion. Measurements with a negative coefficient are dropped: a stronger trace must never make an
    image look more authentic.

    Where the measurements tell the kind of file, what the networks measure counts by what it exceeds that
    on authentic files of the kind. Mean and spread are regressed on the logarithms of pixels and
    quantisation step.

    The coefficient of the networks' opinion is multiplied by `NETWORK_WEIGHT_KEPT` and frozen, and the others
    are refitted. All log-odds are then rescaled to fit these images (temperature scaling, Guo et al. 2017,
    "On calibration of modern neural networks").

    The operating point `manipulated_above` is the lowest score that at most `false_alarm_rate` of the
    authentic images exceed, among those that were made for the calibration and among those taken as found.
    `authentic_below` is the highest score that at most `miss_rate` of the manipulated images fall below. When
    the two cross, every score between them satisfies both rates. Both points then move to the middle, and no
    image is inconclusive. `marked_above` is the lowest score that at most `marked_rate` of the same authentic
    images exceed, but not above `manipulated_above`.

    Args:
        measurements: Measurements by name, one mapping per image, all with the same names.
        manipulated: The true label of each image.
        kinds: The kind of each file, by which wrong verdicts are counted; None to count none.
        as_found: Whether each image is a file as it was found, rather than one made for the calibration; None
            if none is.
        corrections: Whether each image is here because someone corrected its verdict; None if none is. Such
            images move the coefficients. They do not count in operating points and error rates: a set of
            wrong verdicts says nothing about how often verdicts are wrong.
        false_alarm_rate: Largest share of authentic images above `manipulated_above`.
        miss_rate: Largest share of manipulated images below `authentic_below`.
        marked_rate: Largest share of authentic images above `marked_above`.
        ridge: L2 penalty on the standardised coefficients.

    Returns:
        The calibration with its operating points.

    Raises:
        ValueError: A class has no image, a label or a kind is missing, or the names differ between images.
    """
    labels = np.asarray(manipulated, dtype=bool)
    names = sorted(measurements[0]) if measurements else []
    sampled = np.ones(len(labels), bool) if corrections is None else ~np.asarray(corrections, bool)
    if kinds is not None and len(kinds) != len(measurements):
        raise ValueError("every image needs a kind")
    if len(labels) != len(measurements) or not labels[sampled].any() or labels[sampled].all():
        raise ValueError("calibration needs a label for each image, and images of both classes")
    if any(sorted(row) != names for row in measurements):
        raise ValueError("every image needs the same measurements")
    columns = {name: np.array([row[name] for row in measurements], dtype=np.float64) for name in names}
    facts = [columns.pop(name) for name in (LOG_PIXELS, LOG_STEP) if name in columns]
    networks = [name for name in NETWORK_SHARES if name in columns]
    expected: dict[str, Expected] = {}
    if len(facts) == 2:
        usual = ~labels & sampled
        for name in networks:
            expected[name] = _expected(columns[name][usual], *(fact[usual] for fact in facts))
            columns[name] = np.array(
                [expected[name].excess(*each) for each in zip(columns[name], *facts, strict=True)]
            )
    others = {name: column for name, column in columns.items() if name not in networks}
    total = sum(NETWORK_SHARES[name] for name in networks)
    shares = {name: NETWORK_SHARES[name] / total for name in networks}
    opinion = np.zeros(len(labels))
    for name, share in shares.items():
        opinion += share * columns[name]
    fitted, _ = _never_negative({**others, _OPINION: opinion}, labels, ridge, np.zeros(len(labels)))
    weight = NETWORK_WEIGHT_KEPT * fitted.get(_OPINION, 0.0)
    # The others again: what adds nothing to the whole weight of the networks may add something to half of it.
    coefficients, intercept = _never_negative(others, labels, ridge, weight * opinion)
    if weight:
        coefficients |= {name: weight * share for name, share in shares.items()}
    log_odds = np.full(len(labels), intercept)
    for name, weight in coefficients.items():
        log_odds += weight * columns[name]
    scale = _scale(log_odds[sampled], labels[sampled], ridge)
    coefficients = {name: scale * weight for name, weight in coefficients.items()}
    points = OperatingPoints(
        authentic_below=0,
        manipulated_above=1,
        false_alarm_rate=false_alarm_rate,
        miss_rate=miss_rate,
        authentic_images=int((~labels & sampled).sum()),
        manipulated_images=int((labels & sampled).sum()),
    )
    model = Calibration(
        coefficients=coefficients,
        baseline={name: float(columns[name][~labels & sampled].mean()) for name in coefficients},
        intercept=scale * intercept,
        operating_points=points,
        expected=expected,
    )
    scores = np.array([model.score(row) for row in measurements])
    found = np.zeros(len(labels), bool) if as_found is None else np.asarray(as_found, bool)
    authentic = ~labels & sampled
    groups = [scores[group] for group in (authentic & ~found, authentic & found) if group.any()]
    above, marked = (
        max(float(np.sort(group)[::-1][int(rate * len(group))]) for group in groups)
        for rate in (false_alarm_rate, marked_rate)
    )
    below = float(np.sort(scores[labels & sampled])[int(miss_rate * points.manipulated_images)])
    if below > above:
        below = above = (below + above) / 2
    chosen = dataclasses.replace(
        points, authentic_below=below, manipulated_above=above, marked_above=min(marked, above)
    )
    counts = (
        () if kinds is None else _counts(scores[sampled], labels[sampled], _chosen(kinds, sampled), chosen)
    )
    return dataclasses.replace(model, operating_points=chosen, kinds=counts)


def _chosen(kinds: Sequence[FileKind], sampled: NDArray[np.bool_]) -> list[FileKind]:
    return [kind for kind, counts in zip(kinds, sampled, strict=True) if counts]


def _expected(
    network: NDArray[np.float64], log_pixels: NDArray[np.float64], log_step: NDArray[np.float64]
) -> Expected:
    """Regress the networks' map on authentic files, and its absolute deviation, on what is known of the file.

    A weak penalty keeps a factor at 0 where all files are alike.
    """
    design = np.column_stack([np.ones(len(network)), log_pixels, log_step])
    centre = design.mean(axis=0) * (0, 1, 1)
    penalty = np.diag([0.0, 1.0, 1.0])

    def regress(values: NDArray[np.float64]) -> tuple[float, float, float]:
        centred = design - centre
        factors = np.linalg.solve(centred.T @ centred + penalty, centred.T @ values)
        return float(factors[0] - factors @ centre), float(factors[1]), float(factors[2])

    mean = regress(network)
    deviation = np.abs(network - design @ mean)
    log_spread = regress(np.log(deviation + _LEAST_DEVIATION))
    # The mean logarithm of a deviation lies below the logarithm of the standard deviation.
    excess = (network - design @ mean) / np.exp(design @ log_spread)
    offset = float(np.log(max(excess.std(), _LEAST_DEVIATION)))
    return Expected(mean, (log_spread[0] + offset, *log_spread[1:]))


def _counts(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], kinds: Sequence[FileKind], points: OperatingPoints
) -> tuple[KindCounts, ...]:
    """Count the wrong verdicts on files of each kind."""
    bands = [(kind.format_band, kind.size_band) for kind in kinds]
    counts = []
    for band in sorted(set(bands)):
        inside = np.array([each == band for each in bands])
        counts.append(
            KindCounts(
                *band,
                authentic_images=int((inside & ~labels).sum()),
                false_alarms=int((inside & ~labels & (scores > points.manipulated_above)).sum()),
                manipulated_images=int((inside & labels).sum()),
                misses=int((inside & labels & (scores < points.authentic_below)).sum()),
            )
        )
    return tuple(counts)


def _never_negative(
    columns: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.bool_],
    ridge: float,
    offset: NDArray[np.float64],
) -> tuple[dict[str, float], float]:
    """Return the non-negative coefficients by name, and the intercept.

    The measurement with the most negative coefficient is dropped until none is negative. `offset` is added to
    the log-odds of each image and is not fitted.
    """
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
    """Return the coefficients and the intercept of a logistic regression.

    Uses Newton's method (iteratively reweighted least squares) on standardised columns.
    """
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    spread[spread == 0] = 1
    design = np.column_stack([np.ones(len(rows)), (rows - centre) / spread])
    penalty = np.diag([0.0] + [ridge] * rows.shape[1])
    importance = _importance(labels)
    solution = np.zeros(design.shape[1])
    for _ in range(100):
        expected = sigmoid(design @ solution + offset)
        gradient = design.T @ (importance * (labels - expected)) - penalty @ solution
        curvature = (design * (importance * expected * (1 - expected))[:, None]).T @ design + penalty
        step = np.linalg.solve(curvature, gradient)
        solution += step
        if np.abs(step).max() < 1e-10:
            break
    coefficients = solution[1:] / spread
    return coefficients, float(solution[0] - coefficients @ centre)


def _scale(log_odds: NDArray[np.float64], labels: NDArray[np.bool_], ridge: float) -> float:
    """Return the factor of the log-odds that maximises the likelihood of the labels.

    `ridge` pulls it towards 1. The slope of the likelihood decreases in the factor, so bisection finds its
    zero.
    """
    importance = _importance(labels)
    low, high = 0.0, 100.0
    while high - low > 1e-9:
        scale = (low + high) / 2
        slope = float((importance * (labels - sigmoid(scale * log_odds))) @ log_odds) - ridge * (scale - 1)
        low, high = (scale, high) if slope > 0 else (low, scale)
    return low


def _importance(labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a weight for each image so that both classes have equal total weight."""
    share = labels.mean()
    return np.asarray(np.where(labels, 0.5 / share, 0.5 / (1 - share)))
