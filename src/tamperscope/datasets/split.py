"""Split samples so that every source photo is in one part only."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from tamperscope.datasets.sample import Sample
from tamperscope.errors import SettingsError


def split(samples: Iterable[Sample], shares: Mapping[str, float], seed: int) -> dict[str, tuple[Sample, ...]]:
    """Divide samples into named parts.

    Samples that share a source photo, directly or through other samples, form a group and stay together. A
    sample that names no source is a group of its own. Subject to that, each part gets its share of every
    manipulation type and of the authentic images, the rarest first (iterative stratification: Sechidis,
    Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", 2011).

    Splices can connect nearly all photos (CASIA v2, DEFACTO, forgeries made from a few photos). A group
    larger than the largest share is therefore cut: its photos are divided among the parts, and a sample made
    from photos of several parts is dropped.

    The same samples, shares and seed give the same parts, whatever the order of the samples and the folder of
    the dataset.

    Args:
        samples: The samples to divide.
        shares: Share of each part by its name, such as `{"train": 0.8, "validation": 0.1, "test": 0.1}`.
        seed: Seed of every random choice.

    Returns:
        The samples of each part, by its name.

    Raises:
        SettingsError: The shares are not positive, or do not add up to 1.

    Example:
        >>> from pathlib import Path
        >>> samples = [Sample("set", Path(f"{n}.jpg"), None, sources=(f"photo{n // 2}",)) for n in range(10)]
        >>> {part: len(members) for part, members in split(samples, {"train": 0.8, "test": 0.2}, 0).items()}
        {'train': 8, 'test': 2}
    """
    if not shares or min(shares.values()) <= 0 or not math.isclose(sum(shares.values()), 1, abs_tol=1e-6):
        raise SettingsError(f"The shares of a split must be positive and add up to 1, not {dict(shares)}.")
    rng = np.random.default_rng(seed)
    groups = _groups(sorted(samples, key=_identity))
    groups = [groups[index] for index in rng.permutation(len(groups))]
    groups.sort(key=len, reverse=True)

    totals = _strata(itertools.chain(*groups))
    missing = {
        part: Counter({stratum: share * total for stratum, total in totals.items()})
        for part, share in shares.items()
    }
    parts: dict[str, list[Sample]] = {part: [] for part in shares}
    while groups and len(groups[0]) > max(shares.values()) * totals.total():
        for part, members in _cut(groups.pop(0), shares, rng).items():
            parts[part] += members
            missing[part].subtract(_strata(members))
    while groups:
        left = _strata(itertools.chain(*groups))
        rarest = min(sorted(left), key=lambda stratum: left[stratum])
        for group in [group for group in groups if rarest in _strata(group)]:
            part = max(parts, key=lambda part: (missing[part][rarest], missing[part].total()))
            parts[part] += group
            missing[part].subtract(_strata(group))
        groups = [group for group in groups if rarest not in _strata(group)]
    return {part: tuple(sorted(members, key=_identity)) for part, members in parts.items()}


def _groups(samples: list[Sample]) -> list[list[Sample]]:
    """Return the groups of samples that share sources, found by union-find."""
    parents: dict[str, str] = {}

    def representative(source: str) -> str:
        while (parent := parents.setdefault(source, source)) != source:
            parents[source] = source = parents[parent]
        return source

    for sample in samples:
        first, *others = _sources(sample)
        for other in others:
            parents[representative(other)] = representative(first)
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[representative(_sources(sample)[0])].append(sample)
    return list(groups.values())


def _cut(
    group: list[Sample], shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, list[Sample]]:
    """Divide a group's photos among the parts; samples made from photos of several parts are dropped."""
    photos = sorted({source for sample in group for source in _sources(sample)})
    borders = np.cumsum(list(shares.values()))[:-1] * len(photos)
    order = rng.permutation(len(photos))
    owner = {
        photos[index]: part
        for part, indices in zip(shares, np.split(order, np.rint(borders).astype(int)), strict=True)
        for index in indices
    }
    parts: dict[str, list[Sample]] = {part: [] for part in shares}
    for sample in group:
        owners = {owner[source] for source in _sources(sample)}
        if len(owners) == 1:
            parts[owners.pop()].append(sample)
    return parts


def _sources(sample: Sample) -> tuple[str, ...]:
    return sample.sources or (str(sample.image),)


def _strata(samples: Iterable[Sample]) -> Counter[str]:
    return Counter((sample.type or "unknown") if sample.forged else "authentic" for sample in samples)


def _identity(sample: Sample) -> tuple[str, tuple[str, ...], str]:
    # The end of the path comes first, so that the location of the dataset does not affect the parts.
    return sample.set, sample.image.parts[-3:], str(sample.image)
