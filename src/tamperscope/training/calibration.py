"""Fit a calibration on images with known ground truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tamperscope.calibration import NETWORK_MAP, Calibration, sigmoid
from tamperscope.report import OperatingPoints

NETWORK_WEIGHT_KEPT = 0.5
"""Factor that reduces the coefficient of the networks' map fitted on synthesised forgeries.

The networks were trained on such forgeries and recognise forgeries made by others less well. Traces recognise
those better (docs/measurements/experiments.md, 26).
"""


def fit(
    measurements: Sequence[Mapping[str, float]],
    manipulated: Sequence[bool],
    *,
    false_alarm_rate: float = 0.04,
    miss_rate: float = 0.10,
    ridge: float = 1.0,
) -> Calibration:
    """Fit a calibration by logistic regression on images with known ground truth.

    Both classes have equal weight, so a score is the probability of a manipulation for a reader without a
    prior opinion. Measurements with a negative coefficient are dropped: a stronger trace must never make an
    image look more authentic.

    The network coefficient is multiplied by `NETWORK_WEIGHT_KEPT` and frozen, and the others are refitted.
    All log-odds are then rescaled to fit these images (temperature scaling, Guo et al. 2017, "On calibration
    of modern neural networks").

    The operating point `manipulated_above` is the lowest score that at most `false_alarm_rate` of the
    authentic images exceed. `authentic_below` is the highest score that at most `miss_rate` of the
    manipulated images fall below. When the two cross, every score between them satisfies both rates. Both
    points then move to the middle, and no image is inconclusive.

    Args:
        measurements: Measurements by name, one mapping per image, all with the same names.
        manipulated: The true label of each image.
        false_alarm_rate: Largest share of authentic images above `manipulated_above`.
        miss_rate: Largest share of manipulated images below `authentic_below`.
        ridge: L2 penalty on the standardised coefficients.

    Returns:
        The calibration with its operating points.

    Raises:
        ValueError: A class has no image, a label is missing, or the names differ between images.
    """
    labels = np.asarray(manipulated, dtype=bool)
    names = sorted(measurements[0]) if measurements else []
    if len(labels) != len(measurements) or not labels.any() or labels.all():
        raise ValueError("calibration needs a label for each image, and images of both classes")
    if any(sorted(row) != names for row in measurements):
        raise ValueError("every image needs the same measurements")
    columns = {name: np.array([row[name] for row in measurements], dtype=np.float64) for name in names}
    coefficients, intercept = _never_negative(columns, labels, ridge, np.zeros(len(labels)))
    if NETWORK_MAP in coefficients:
        frozen = NETWORK_WEIGHT_KEPT * coefficients[NETWORK_MAP]
        others = {name: columns[name] for name in coefficients if name != NETWORK_MAP}
        coefficients, intercept = _never_negative(others, labels, ridge, frozen * columns[NETWORK_MAP])
        coefficients[NETWORK_MAP] = frozen
    log_odds = np.full(len(labels), intercept)
    for name, weight in coefficients.items():
        log_odds += weight * columns[name]
    scale = _scale(log_odds, labels, ridge)
    coefficients = {name: scale * weight for name, weight in coefficients.items()}
    points = OperatingPoints(
        authentic_below=0,
        manipulated_above=1,
        false_alarm_rate=false_alarm_rate,
        miss_rate=miss_rate,
        authentic_images=int((~labels).sum()),
        manipulated_images=int(labels.sum()),
    )
    model = Calibration(
        coefficients=coefficients,
        baseline={name: float(columns[name][~labels].mean()) for name in coefficients},
        intercept=scale * intercept,
        operating_points=points,
    )
    scores = np.array([model.score(row) for row in measurements])
    above = float(np.sort(scores[~labels])[::-1][int(false_alarm_rate * points.authentic_images)])
    below = float(np.sort(scores[labels])[int(miss_rate * points.manipulated_images)])
    if below > above:
        below = above = (below + above) / 2
    chosen = dataclasses.replace(points, authentic_below=below, manipulated_above=above)
    return dataclasses.replace(model, operating_points=chosen)


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
