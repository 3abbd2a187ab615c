"""How often verdicts are wrong, by what the pictures show and by what is known of the files."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tamperscope.evaluation.measurement import Measurement
from tamperscope.evaluation.metrics import expected_calibration_error
from tamperscope.report import Verdict

DIMENSIONS: Mapping[str, Callable[[Measurement], str]] = {
    "kind": lambda measurement: measurement.kind or measurement.set,
    "size": lambda measurement: measurement.size_band,
    "format": lambda measurement: measurement.format_band,
    "history": lambda measurement: measurement.history,
}
"""What images are grouped by. The kind is the start of a file name such as `receipt__12.jpg`, or the set."""
_Z = 1.959964
"""Standard normal quantile of a 95 % interval."""


@dataclass(frozen=True)
class Share:
    """A share of images with its 95 % interval (Wilson 1927)."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; NaN of no image."""
        return self.count / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the interval.

        >>> Share(0, 20).interval[0], round(Share(0, 20).interval[1], 3)
        (0.0, 0.161)
        """
        if not self.of:
            return math.nan, math.nan
        weight = _Z**2 / self.of
        centre = self.value + weight / 2
        reach = _Z * math.sqrt(self.value * (1 - self.value) / self.of + weight / (4 * self.of))
        return max(0.0, (centre - reach) / (1 + weight)), min(1.0, (centre + reach) / (1 + weight))


@dataclass(frozen=True)
class Group:
    """The verdicts on the images of one group."""

    dimension: str
    """A key of `DIMENSIONS`."""
    name: str
    false_alarms: Share
    """Authentic images called manipulated."""
    marked: Share
    """Authentic images with a mark."""
    inconclusive: Share
    """All images without a verdict."""
    detected: Share
    """Forged images called manipulated."""
    missed: Share
    """Forged images called authentic."""
    calibration_error: float
    """As the metric of that name; NaN unless there are forged and authentic images."""


def by_group(measurements: Iterable[Measurement]) -> list[Group]:
    """Return a group for each value of each dimension, in the order of `DIMENSIONS` and then by name."""
    everything = list(measurements)
    groups = []
    for dimension, name_of in DIMENSIONS.items():
        members: dict[str, list[Measurement]] = defaultdict(list)
        for measurement in everything:
            members[name_of(measurement)].append(measurement)
        groups += [_group(dimension, name, members[name]) for name in sorted(members)]
    return groups


def _group(dimension: str, name: str, members: Sequence[Measurement]) -> Group:
    authentic = [each for each in members if not each.forged]
    forged = [each for each in members if each.forged]
    error = math.nan
    if authentic and forged:
        error = expected_calibration_error(
            [each.score for each in members], [each.forged for each in members]
        )
    return Group(
        dimension,
        name,
        false_alarms=_share(authentic, Verdict.MANIPULATED),
        marked=Share(sum(each.shown.marked > 0 for each in authentic), len(authentic)),
        inconclusive=_share(members, Verdict.INCONCLUSIVE),
        detected=_share(forged, Verdict.MANIPULATED),
        missed=_share(forged, Verdict.AUTHENTIC),
        calibration_error=error,
    )


def _share(members: Sequence[Measurement], verdict: Verdict) -> Share:
    return Share(sum(each.verdict is verdict for each in members), len(members))
